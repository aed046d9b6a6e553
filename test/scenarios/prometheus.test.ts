import { readFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { familiesIn, labelsIn } from '../monitor/samples.ts'
import { baseBackup } from '../support/base-backup.ts'
import {
  archiveSegment,
  endRests,
  endSegment,
  type Fleet,
  startFleet,
  waitFor,
} from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { checkout, installation } from '../support/installation.ts'
import { type Listening, startListening } from '../support/listening.ts'
import { findProgram } from '../support/parts.ts'
import { type Server, startFrom } from '../support/postgres.ts'
import { type Prometheus, startPrometheus } from '../support/prometheus.ts'
import { startShipper } from '../support/shipper.ts'

const examples = join(checkout, 'examples', 'prometheus')
const rulesFile = join(examples, 'pgarch.rules.yml')

let fleet: Fleet
let primary: Server
let berlin: string

beforeAll(async () => {
  fleet = await startFleet()
  berlin = await fleet.addPath('berlin')
  const local = makeFolder(fleet.folder, 'local')
  primary = await fleet.startPrimary('app', ['berlin'], {
    environment: { PGARCH_LOCAL_ARCHIVE: local, PGARCH_LOCAL_RESERVE: '1MB' },
  })
  await archiveSegment(primary)
})

function listen(...words: string[]): Promise<Listening> {
  return startListening(
    [installation().pgarch, 'metrics', '--listen', '127.0.0.1:0', ...words],
    /serves http:\/\/(.*)\/metrics/,
    {
      cwd: fleet.folder,
      environment: { ...fleet.environment, PGARCH_SCHEDULE_URL: fleet.schedule.url('pgarch') },
    },
  )
}

describe.skipIf(!findProgram('prometheus'))('a Prometheus that scrapes fleet and host', () => {
  let prometheus: Prometheus

  beforeAll(async () => {
    const ofFleet = await listen()
    const ofHost = await listen('--host')
    const target = ({ url }: Listening) => url.replace('http://', '')
    prometheus = await startPrometheus(
      fleet.folder,
      { pgarch: target(ofFleet), host: target(ofHost) },
      rulesFile,
    )
    await waitFor('both are scraped', async () => {
      const up = await prometheus.query('up == 1')
      return up.length === 2
    })
  })

  const valueNow = async (expression: string) => (await prometheus.query(expression))[0]?.value

  interface Alert {
    readonly labels: Record<string, string>
    readonly annotations: Record<string, string>
    readonly state: string
  }

  const alerts = async (name: string) => {
    const { alerts } = await prometheus.ask<{ alerts: Alert[] }>('alerts')
    return alerts.filter(({ labels }) => labels.alertname === name)
  }

  test('sees what is archived', async () => {
    await waitFor('files', async () => ((await valueNow('pgarch_path_files')) ?? 0) > 0)
    const before = (await valueNow('pgarch_path_files')) ?? 0
    await archiveSegment(primary)
    await waitFor('one more', async () => (await valueNow('pgarch_path_files')) === before + 1)
    expect(await prometheus.query('pgarch_path_stored_files_total')).toEqual([
      { labels: expect.objectContaining({ path: 'berlin', job: 'pgarch' }), value: before + 1 },
    ])
  })

  test('an alert fires, says what to do, and ends', async () => {
    await fleet.admin('cluster', 'stop', 'app', '--yes-lose-wal', '--reason', 'move')
    await waitFor('it fires', async () => (await alerts('PgarchStopped')).length > 0)
    expect(await alerts('PgarchStopped')).toMatchObject([
      {
        state: 'firing',
        labels: { cluster: 'app', severity: 'critical' },
        annotations: {
          summary: 'The WAL of cluster app is dropped',
          description: expect.stringMatching(/"pgarch status app" tells who, and why/),
        },
      },
    ])
    await fleet.admin('cluster', 'start', 'app')
    await waitFor('it ends', async () => (await alerts('PgarchStopped')).length === 0)
  })

  test('sees an outage of the scheduling database, and its end', async () => {
    await fleet.schedule.stop()
    await waitFor('it is down', async () => (await valueNow('pgarch_schedule_up')) === 0)
    expect(await valueNow('up{job="pgarch"}')).toBe(1)
    await waitFor('an alert waits', async () => (await alerts('PgarchScheduleDown')).length > 0)
    await fleet.schedule.start()
    await waitFor('it is up', async () => (await valueNow('pgarch_schedule_up')) === 1)
  })

  test('understands every expression of the dashboard', async () => {
    for (const expression of dashboardExpressions()) {
      const result = prometheus.query(
        expression.replaceAll('$__rate_interval', '1m').replaceAll('$path', '.*'),
      )
      await expect(result, expression).resolves.toBeInstanceOf(Array)
    }
  })
})

function dashboardExpressions(): string[] {
  const { panels } = JSON.parse(readFileSync(join(examples, 'pgarch-dashboard.json'), 'utf8')) as {
    panels: { targets?: { expr: string }[] }[]
  }
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
}

/** Everything that there is to tell, at one time or another. */
async function tellAll(): Promise<string> {
  const told: string[] = []
  const tell = async (words: string[] = [], admin = true) => {
    told.push((await fleet.pgarch(['metrics', ...words], { admin })).stdout)
  }
  startShipper(fleet, primary)
  await fleet.admin('path', 'set', 'berlin', '--capacity', '1GB')
  await fleet.admin('path', 'test', 'berlin')
  await waitFor('it ships', async () => {
    const rows = await fleet.rows('select from pgarch.arch_shipping where shipped_lsn is not null')
    return rows.length > 0
  })
  // A path that is lost with a file, and a file that was dropped.
  await fleet.addPath('madrid')
  await fleet.admin('route', 'set', 'app', 'madrid', '--priority', '1000')
  await archiveSegment(primary)
  await fleet.admin('path', 'lost', 'madrid', '--yes-lose-wal')
  await fleet.admin('cluster', 'stop', 'app', '--yes-lose-wal')
  await archiveSegment(primary)
  await fleet.admin('cluster', 'start', 'app')
  // No path takes a file, and nobody takes the record of the next one.
  await rename(berlin, `${berlin}.away`)
  await archiveSegment(primary)
  await tell()
  await fleet.schedule.stop()
  await archiveSegment(primary)
  await tell(['--host'])
  await fleet.schedule.start()
  await rename(`${berlin}.away`, berlin)
  endRests(fleet, primary)
  // A file waits.
  await fleet.admin('cluster', 'pause', 'app')
  await endSegment(primary)
  await waitFor('a push fails', async () => {
    await tell(['--host'])
    return /pgarch_host_push_failed\{.*\} 1/.test(told.at(-1) ?? '')
  })
  // The same scheduling database by a standby of its own.
  const standby = await startStandby(fleet.schedule)
  await tell()
  await tell(['--schedule', standby.url('pgarch')])
  return told.join('')
}

async function startStandby(server: Server): Promise<Server> {
  const folder = makeFolder(fleet.folder, 'standby')
  const data = join(folder, 'data')
  await baseBackup(server, data, { includeWal: true })
  const standby = await startFrom(data, {
    version: server.version,
    folder,
    signal: 'standby',
    settings: { primary_conninfo: `host=127.0.0.1 port=${server.port} user=postgres` },
  })
  await waitFor('it has replayed', async () => {
    await server.query('select txid_current()')
    const [row] = await server.query<{ lag: unknown }>(
      'select max(replay_lag) as lag from pg_stat_replication',
    )
    return row?.lag !== null
  })
  return standby
}

test('alerts and dashboard use what pgarch tells, with its labels, and it is documented', async () => {
  const told = await tellAll()
  const known = new Set(familiesIn(told))
  const rules = readFileSync(rulesFile, 'utf8')
  const dashboard = readFileSync(join(examples, 'pgarch-dashboard.json'), 'utf8')
  const used = new Set(`${rules}\n${dashboard}`.match(/\bpgarch_[a-z_]+/g))
  expect([...used].filter((name) => !known.has(name)).sort()).toEqual([])

  const documented = readFileSync(join(checkout, 'docs', 'prometheus.md'), 'utf8')
    .split('## Series')[1]
    ?.match(/(?<=^\| `)pgarch_[a-z_]+/gm)
  expect(documented?.sort()).toEqual([...known].sort())

  const labels = labelsIn(told)
  for (const rule of rules.split('- alert:').slice(1)) {
    const wanted = [...rule.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)
    const given = ['instance', ...(rule.match(/\bpgarch_[a-z_]+/g) ?? [])].flatMap((name) => [
      ...(labels.get(name) ?? [name]),
    ])
    expect(given, rule).toEqual(expect.arrayContaining(wanted))
  }
  // Of the selectors, such as pgarch_cluster_switch{switch="stop"}.
  const selectors = `${rules}\n${dashboard}`.matchAll(/\b(pgarch_\w+)\{(\w+)\\?[=!~]/g)
  for (const [, name = '', label] of selectors) expect(labels.get(name), name).toContain(label)
})
