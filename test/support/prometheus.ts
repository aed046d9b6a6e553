import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, ownByUnprivileged } from './folder.ts'
import { type Listening, startListening } from './listening.ts'

/** A real Prometheus that looks every second. */
export interface Prometheus extends Listening {
  /** What an expression is worth now. */
  query(expression: string): Promise<{ labels: Record<string, string>; value: number }[]>
  /** An answer of its HTTP API, version 1. */
  ask<Data>(path: string): Promise<Data>
}

const listens = /"Listening on" address=(\S+)/

/**
 * @param folder its own is made in it
 * @param targets ADDRESS:PORT of what it scrapes, by job
 * @param rules a file of rules, which is copied
 */
export async function startPrometheus(
  folder: string,
  targets: Readonly<Record<string, string>>,
  rules: string,
): Promise<Prometheus> {
  const own = makeFolder(folder, 'prometheus')
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.yml'],
    scrape_configs: Object.entries(targets).map(([name, target]) => ({
      job_name: name,
      static_configs: [{ targets: [target] }],
    })),
  }
  const file = join(own, 'prometheus.yml')
  writeFileSync(file, JSON.stringify(config)) // which is YAML, too
  copyFileSync(rules, join(own, 'rules.yml'))
  for (const one of ['prometheus.yml', 'rules.yml']) ownByUnprivileged(join(own, one))
  const command = ['prometheus', `--config.file=${file}`, `--storage.tsdb.path=${own}/data`]
  const server = await startListening([...command, '--web.listen-address=127.0.0.1:0'], listens, {
    cwd: own,
  })
  const ask = async <Data>(path: string) => {
    const response = await fetch(`${server.url}/api/v1/${path}`)
    const { status, error, data } = (await response.json()) as Answer<Data>
    if (status !== 'success') throw new Error(`Prometheus: ${error}`)
    return data
  }
  return {
    ...server,
    ask,
    async query(expression) {
      const path = `query?query=${encodeURIComponent(expression)}`
      const { result } = await ask<{ result: Result[] }>(path)
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
    },
  }
}

interface Answer<Data> {
  readonly status: 'success' | 'error'
  readonly error?: string
  readonly data: Data
}

interface Result {
  readonly metric: Record<string, string>
  readonly value: [number, string]
}

/** A real node_exporter that serves the files in a directory, and nothing else. */
export function startNodeExporter(directory: string): Promise<Listening> {
  return startListening(
    [
      'prometheus-node-exporter',
      '--collector.disable-defaults',
      '--collector.textfile',
      `--collector.textfile.directory=${directory}`,
      '--web.disable-exporter-metrics',
      '--web.listen-address=127.0.0.1:0',
    ],
    listens,
    { cwd: directory },
  )
}
