import { createHash, randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Cluster, createCluster } from '../../src/schedule/clusters.ts'
import { type Schedule, withSchedule } from '../../src/schedule/connect.ts'
import { enrolMember } from '../../src/schedule/members.ts'
import { migrate, readMigrations } from '../../src/schedule/migrate.ts'
import { insertPath } from '../../src/schedule/paths.ts'
import { setRoute } from '../../src/schedule/routes.ts'
import type { Claim, CopyEvent, Membership } from '../../src/schedule/types.ts'
import type { Server } from '../support/postgres.ts'

export const sqlFolder = fileURLToPath(new URL('../../sql', import.meta.url))

type Use<Result> = (schedule: Schedule) => Promise<Result>

/** A scheduling database of its own on a server that other tests may share. */
export interface TestSchedule {
  readonly database: string
  asAdmin<Result>(use: Use<Result>): Promise<Result>
  asAgent<Result>(use: Use<Result>): Promise<Result>
  rows<Row = Record<string, unknown>>(sql: string, parameters?: unknown[]): Promise<Row[]>
}

export async function createSchedule(server: Server, database: string): Promise<TestSchedule> {
  await server.query(`create database ${database}`)
  const open = (user: string, purpose: 'agent' | 'admin' | 'init') => {
    const settings = { url: server.url(database, user), timeoutMilliseconds: 20_000, purpose }
    return <Result>(use: Use<Result>) => withSchedule(settings, use)
  }
  const migrations = await readMigrations(sqlFolder)
  await open('postgres', 'init')((schedule) => migrate(schedule, migrations))
  return {
    database,
    asAdmin: open('postgres', 'admin'),
    asAgent: open('pgarch_agent', 'agent'),
    rows: (sql, parameters) => server.query(sql, parameters, database),
  }
}

/** A cluster with one member. */
export async function addCluster(
  { asAdmin }: TestSchedule,
  name: string,
  systemIdentifier = '7000000000000000001',
): Promise<Cluster & { member: Membership }> {
  return await asAdmin(async (schedule) => {
    const cluster = await createCluster(schedule, {
      name,
      systemIdentifier,
      walSegmentSize: 16_777_216,
    })
    const host = { host: `${name}-host`, dataDirectory: '/data' }
    return { ...cluster, member: await enrolMember(schedule, cluster.fingerprint, host) }
  })
}

/** A local path, in the routes of these clusters. */
export async function addPath(
  { asAdmin }: TestSchedule,
  name: string,
  clusters: readonly Cluster[],
  priority = 10,
): Promise<number> {
  return await asAdmin(async (schedule) => {
    const id = await insertPath(schedule, { ...localPath, name, uuid: randomUUID() })
    for (const { fingerprint } of clusters) await setRoute(schedule, fingerprint, id, priority)
    return id
  })
}

export const localPath = {
  kind: 'local',
  rootPath: '/archive',
  sshHost: null,
  sshIp: null,
  sshPort: null,
  sshUser: null,
  hostKey: null,
} as const

export const sha256 = (content: string) => createHash('sha256').update(content).digest('hex')

export function claimOf(walName: string, content: string): Claim {
  return { walName, sha256: sha256(content), walSize: 16_777_216, history: null }
}

export function eventOf(
  walName: string,
  pathId: number,
  properties: Partial<CopyEvent> = {},
): CopyEvent {
  return {
    eventId: randomUUID(),
    walName,
    walSize: 16_777_216,
    pathId,
    status: 'stored',
    storedBytes: 5_000_000,
    durationMilliseconds: 120,
    error: null,
    time: new Date(),
    fullPath: null,
    ...properties,
  }
}

export const segment = (number: number) =>
  `0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`

/** As clients of schema version 3 record, which must go on working. Resolves to the route's version. */
export async function recordCopies(
  schedule: Schedule,
  { memberId, credential }: Membership,
  events: readonly CopyEvent[],
): Promise<number> {
  const [row] = await schedule.query<{ version: number }>(
    'select pgarch.record($1, $2, $3) as version',
    [memberId, credential, JSON.stringify(events)],
  )
  return row?.version ?? -1
}
