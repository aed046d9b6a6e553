import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { familiesIn, parseSamples } from '../monitor/samples.ts'
import { archiveSegment, type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import { type Listening, startListening } from '../support/listening.ts'
import { findProgram } from '../support/parts.ts'
import type { Server } from '../support/postgres.ts'
import { childrenOf } from '../support/processes.ts'
import { startNodeExporter } from '../support/prometheus.ts'

let fleet: Fleet
let primary: Server

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin')
  primary = await fleet.startPrimary('app', ['berlin'])
  await archiveSegment(primary)
})

const metrics = (...words: string[]) => fleet.pgarch(['metrics', ...words], { admin: true })

/** What `promtool check metrics` has to say. */
function lint(text: string): string {
  return execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
}

describe('pgarch metrics', () => {
  test('tells of the fleet what the scheduling database knows', async () => {
    const { status, stdout, stderr } = await metrics()
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const [sum] = await fleet.rows<{ files: number; bytes: number }>(
      'select count(*)::int as files, sum(stored_bytes)::int as bytes from pgarch.arch_copy',
    )
    expect(parseSamples(stdout)).toMatchObject({
      pgarch_schedule_up: 1,
      'pgarch_clusters{severity="ok",switch="start"}': 1,
      'pgarch_cluster_severity{cluster="app"}': 0,
      'pgarch_path_files{path="berlin"}': sum?.files,
      'pgarch_path_file_bytes{path="berlin"}': sum?.bytes,
      'pgarch_path_stored_files_total{path="berlin"}': sum?.files,
    })
  })

  test('is for whoever may read, and tells whom it may not', async () => {
    await fleet.rows('create role watcher login in role pgarch_monitor')
    const url = fleet.schedule.url('pgarch', 'watcher')
    const watched = await fleet.pgarch(['metrics', '--schedule', url])
    expect(watched).toMatchObject({ status: 0, stderr: '' })
    expect(parseSamples(watched.stdout)).toMatchObject({ pgarch_schedule_up: 1 })

    const refused = await fleet.pgarch(['metrics'])
    expect(refused.status).toBe(1)
    expect(parseSamples(refused.stdout)).toMatchObject({ pgarch_schedule_up: 0 })
    expect(refused.stderr).toMatch(/permission denied.*\n.*reading one of pgarch_monitor/)
  })

  test('--host tells of this host, and asks nobody', async () => {
    const { status, stdout, stderr } = await fleet.pgarch(['metrics', '--host'], {
      environment: { PGARCH_SCHEDULE_URL: '' },
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const labels = `data_directory="${primary.dataDirectory}",cluster="app"`
    expect(parseSamples(stdout)).toMatchObject({
      [`pgarch_host_up{${labels}}`]: 1,
      [`pgarch_host_ready_files{${labels}}`]: 0,
      [`pgarch_host_switch{${labels},switch="start"}`]: 1,
    })
  })

  test('--host tells what can be read beside what cannot', async () => {
    const status = join(primary.dataDirectory, 'pg_wal', 'archive_status')
    chmodSync(status, 0o000)
    onTestFinished(() => chmodSync(status, 0o700))
    const { status: exit, stdout, stderr } = await fleet.pgarch(['metrics', '--host'])
    expect(exit).toBe(1)
    expect(stderr).toMatch(/archive_status": permission denied/)
    expect(stdout).toMatch(/^pgarch_host_up\{.*\} 0$/m)
    expect(stdout).toMatch(/^pgarch_host_journal_records\{.*\} 0$/m)
    expect(stdout).not.toMatch(/^pgarch_host_ready_files/m)
  })

  test.skipIf(!findProgram('promtool'))('is clean by promtool', async () => {
    for (const words of [[], ['--host']]) {
      const { stdout } = await metrics(...words)
      expect(lint(stdout)).toBe('')
    }
  })

  test('fleet and host share no family, which node_exporter would refuse', async () => {
    const ofHost = familiesIn((await metrics('--host')).stdout)
    const ofFleet = familiesIn((await metrics()).stdout)
    expect(ofHost.filter((name) => ofFleet.includes(name))).toEqual([])
  })

  test.each([
    [['--listen', '127.0.0.1'], /It takes ADDRESS:PORT/],
    [['--listen', '127.0.0.1:0', '--output', 'x'], /cannot be used with option '--output/],
    [['--host', '--clusters', '5'], /cannot be used with option '--host'/],
    [['--clusters', '-1'], /It takes a whole number from 0/],
    [['--schedule', 'nonsense:'], /ERROR/],
  ])('%j is a wrong command line', async (words, message) => {
    const { status, stdout, stderr } = await metrics(...words)
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' })
    expect(stderr).toMatch(message)
  })

  test('a host where nothing is registered, or may not be read, is not told to be well', async () => {
    const environment = { PGARCH_STATE_DIR: makeFolder(fleet.folder, 'empty') }
    const { status, stdout, stderr } = await fleet.pgarch(['metrics', '--host'], { environment })
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' })
    expect(stderr).toMatch(/no data directory is registered below/)
  })
})

describe('pgarch metrics --output', () => {
  let folder: string
  let file: string
  beforeAll(() => {
    folder = makeFolder(fleet.folder, 'textfile')
    file = join(folder, 'pgarch.prom')
  })

  test('replaces the file as a whole, for everybody to read', async () => {
    expect(await metrics('--output', file)).toEqual({ status: 0, stdout: '', stderr: '' })
    const before = statSync(file)
    expect(before.mode & 0o777).toBe(0o644)
    expect(await metrics('--output', file)).toMatchObject({ status: 0 })
    expect(statSync(file).ino).not.toBe(before.ino)
    expect(readdirSync(folder)).toEqual(['pgarch.prom'])
  })

  test('when the scheduling database is down the file says that, and nothing old', async () => {
    await fleet.schedule.stop()
    onTestFinished(() => fleet.schedule.start())
    const { status, stderr } = await metrics('--output', file)
    expect(status).toBe(1)
    expect(stderr).toMatch(/ECONNREFUSED/)
    const samples = parseSamples(readFileSync(file, 'utf8'))
    expect(samples.pgarch_schedule_up).toBe(0)
    expect(Object.keys(samples).filter((one) => !one.startsWith('pgarch_schedule_'))).toEqual([])
  })

  test('what is no regular file stays what it is', async () => {
    const link = join(folder, 'link')
    symlinkSync('/dev/null', link)
    onTestFinished(() => rmSync(link))
    const { status, stderr } = await metrics('--output', link)
    expect(status).toBe(64)
    expect(stderr).toContain(`"${link}" is not a regular file`)
    expect(readlinkSync(link)).toBe('/dev/null')
  })

  test('one that cannot be written is an error', async () => {
    const { status, stderr } = await metrics('--output', join(folder, 'missing', 'x.prom'))
    expect(status).toBe(1)
    expect(stderr).toMatch(/could not write file ".*x.prom": no such file or directory/)
  })

  test.skipIf(!findProgram('prometheus-node-exporter'))(
    'node_exporter serves the files of fleet and host',
    async () => {
      await metrics('--output', file)
      await metrics('--host', '--output', join(folder, 'host.prom'))
      const exporter = await startNodeExporter(folder)
      const served = parseSamples(await (await fetch(`${exporter.url}/metrics`)).text())
      expect(served).toMatchObject({
        node_textfile_scrape_error: 0,
        pgarch_schedule_up: 1,
        'pgarch_path_files{path="berlin"}': expect.any(Number),
        [`pgarch_host_up{cluster="app",data_directory="${primary.dataDirectory}"}`]: 1,
      })
    },
  )
})

describe('pgarch metrics --listen', () => {
  const listen = (words: string[] = [], environment: Record<string, string> = {}) =>
    startListening(
      [installation().pgarch, 'metrics', '--listen', '127.0.0.1:0', ...words],
      /serves http:\/\/(.*)\/metrics/,
      {
        cwd: fleet.folder,
        environment: {
          ...fleet.environment,
          PGARCH_SCHEDULE_URL: fleet.schedule.url('pgarch'),
          ...environment,
        },
      },
    )
  const scrape = async ({ url }: Listening) => {
    const response = await fetch(`${url}/metrics`)
    expect(response.status).toBe(200)
    return parseSamples(await response.text())
  }

  test('outlives the scheduling database, and tells of it once', async () => {
    const server = await listen()
    expect(await scrape(server)).toMatchObject({ pgarch_schedule_up: 1 })
    await fleet.schedule.stop()
    expect(await scrape(server)).toMatchObject({ pgarch_schedule_up: 0 })
    expect(await scrape(server)).toMatchObject({ pgarch_schedule_up: 0 })
    await fleet.schedule.start()
    expect(await scrape(server)).toMatchObject({ pgarch_schedule_up: 1 })
    const said = server.log().match(/pgarch: (?:LOG|ERROR): .*/g)
    expect(said).toEqual([
      expect.stringMatching(/LOG: {2}serves http/),
      expect.stringMatching(/ERROR: {2}scheduling database at/),
      expect.stringMatching(/LOG: {2}all can be read again/),
    ])
  })

  test('starts before the scheduling database does', async () => {
    await fleet.schedule.stop()
    const server = await listen()
    expect(await scrape(server)).toMatchObject({ pgarch_schedule_up: 0 })
    await fleet.schedule.start()
    expect(await scrape(server)).toMatchObject({ pgarch_schedule_up: 1 })
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with 0', async (signal) => {
    const server = await listen(['--host'])
    const [node] = childrenOf(server.pid)
    process.kill(node ?? 0, signal)
    expect(await server.ended()).toBe(0)
  })

  test('with its launcher it ends, too', async () => {
    const server = await listen(['--host'])
    expect(childrenOf(server.pid)).toHaveLength(1)
    server.kill('SIGKILL')
    // Only when Node.js has ended, too, as it holds the outputs.
    expect(await server.ended()).toBe(null)
  })

  test('a configuration that can never work ends it at once', async () => {
    const { status, stderr } = await fleet.pgarch(['metrics', '--listen', '127.0.0.1:0'], {
      environment: { PGARCH_SCHEDULE_URL: '' },
    })
    expect(status).toBe(64)
    expect(stderr).toMatch(/the scheduling database's URL is not set/)
  })
})
