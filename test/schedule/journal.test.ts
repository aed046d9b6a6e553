import { randomUUID } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Schedule, withSchedule } from '../../src/schedule/connect.ts'
import { appendToJournal, deliverJournal, journalState } from '../../src/schedule/journal.ts'
import { encodeEntry, type Owner } from '../../src/schedule/journal-files.ts'
import type { Entry } from '../../src/schedule/types.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Server, startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  claimOf,
  createSchedule,
  eventOf,
  segment,
  type TestSchedule,
} from './fixture.ts'

let server: Server
let database: TestSchedule
let member: Owner
let pathId: number
let state: ReturnType<typeof temporaryFolder>

beforeAll(async () => {
  server = await startServer()
  database = await createSchedule(server, 'journal')
})

let clusters = 0
beforeEach(async () => {
  const cluster = await addCluster(database, `c${++clusters}`)
  pathId = await addPath(database, `p${clusters}`, [cluster])
  member = { ...cluster.member, fingerprint: cluster.fingerprint }
  state = temporaryFolder('journal')
})

afterEach(() => state.remove())

const never = Number.POSITIVE_INFINITY
const folder = () => join(state.path, 'journal', member.fingerprint)
const append = (entry: Entry) => appendToJournal(state.path, member, entry)
const journal = () => journalState(state.path, member.fingerprint)
const entryOf = (number: number, content = 'a'): Entry => ({
  claim: claimOf(segment(number), content),
  events: [eventOf(segment(number), pathId)],
})
const deliverAll = () =>
  database.asAgent((schedule) => deliverJournal(state.path, schedule, member, never))

async function logged(): Promise<string[]> {
  const rows = await database.rows<{ wal_name: string }>(
    'select wal_name from pgarch.arch_remote_log where member_id = $1 order by 1',
    [member.memberId],
  )
  return rows.map(({ wal_name }) => wal_name)
}

async function copied(): Promise<number> {
  const [row] = await database.rows<{ count: number }>(
    'select count(*)::int as count from pgarch.arch_copy where path_id = $1',
    [pathId],
  )
  return row?.count ?? -1
}

it('tells its length, and the age of its oldest entry', async () => {
  expect(await journal()).toEqual({ length: 0, oldest: null, ofOthers: 0 })
  const first = entryOf(1)
  await append(first)
  await append(entryOf(2))
  expect(await journal()).toEqual({
    length: 2,
    oldest: first.events[0]?.time,
    ofOthers: 0,
  })
})

it('keeps its order beyond any clock, and its history files byte by byte', async () => {
  const history = Buffer.from([0x31, 0x09, 0xff, 0x00])
  const { createHash } = await import('node:crypto')
  const sha256 = createHash('sha256').update(history).digest('hex')
  const past = { ...eventOf('00000002.history', pathId), time: new Date(Date.now() - 7_200_000) }
  await append(entryOf(1))
  await append({
    claim: { walName: '00000002.history', sha256, walSize: 4, history },
    events: [past],
  })
  expect((await journal()).oldest).not.toEqual(past.time)
  await deliverAll()
  const [row] = await database.rows<{ history: Buffer }>(
    "select history from pgarch.arch_file where member_id = $1 and wal_name like '%.history'",
    [member.memberId],
  )
  expect(row?.history).toEqual(history)
})

it('ten thousand entries are delivered in batches, oldest first, once', async () => {
  mkdirSync(folder(), { recursive: true })
  for (let number = 0; number < 10_000; number++) {
    const place = String(number + 1).padStart(12, '0')
    const id = `00000000-0000-4000-8000-${place}`
    const entry = encodeEntry(entryOf(number), member)
    writeFileSync(join(folder(), `${place}-${id}.json`), entry)
  }
  const batches: string[][] = []
  const { delivered, left } = await database.asAgent((schedule) =>
    deliverJournal(state.path, noting(schedule, batches), member, never),
  )
  expect({ delivered, left }).toEqual({ delivered: 10_000, left: 0 })
  expect(batches.length).toBeLessThan(100)
  expect(batches.flat()).toEqual(batches.flat().sort())
  expect(readdirSync(folder())).toEqual([])
  expect(await logged()).toHaveLength(10_000)
  expect(await copied()).toBe(10_000)
})

/** Notes the WAL files of every delivery. */
function noting(schedule: Schedule, deliveries: string[][]): Schedule {
  return {
    ...schedule,
    query(sql, parameters) {
      const entries: Entry[] = JSON.parse(String(parameters?.[2]))
      deliveries.push(entries.map(({ claim }) => claim.walName))
      return schedule.query(sql, parameters)
    },
  }
}

it('a database that is slow gets fewer at a time, so that each call is answered in time', async () => {
  for (let number = 0; number < 80; number++) await append(entryOf(number))
  await database.rows(
    `create function public.take_time() returns trigger language plpgsql as
     'begin perform pg_sleep(0.05); return new; end'`,
  )
  await database.rows(
    `create trigger take_time before insert on pgarch.arch_remote_log
     for each row execute function public.take_time()`,
  )
  try {
    const settings = { url: server.url('journal', 'pgarch_agent'), timeoutMilliseconds: 2000 }
    const { delivered } = await withSchedule(settings, (schedule) =>
      deliverJournal(state.path, schedule, member, never),
    )
    expect(delivered).toBe(80)
  } finally {
    await database.rows('drop trigger take_time on pgarch.arch_remote_log')
  }
})

it('stops in time, and leaves the rest for the next', async () => {
  for (let number = 0; number < 3; number++) await append(entryOf(number))
  const result = await database.asAgent((schedule) =>
    deliverJournal(state.path, schedule, member, performance.now() - 1),
  )
  expect(result).toMatchObject({ delivered: 0, left: 3 })
  expect(await logged()).toEqual([])
})

describe('nothing is lost or doubled', () => {
  it('killed after the delivery, before the entries were removed', async () => {
    await append(entryOf(1))
    const [name = ''] = readdirSync(folder())
    const content = readFileSync(join(folder(), name))
    await deliverAll()
    writeFileSync(join(folder(), name), content)
    await deliverAll()
    expect(await logged()).toEqual([segment(1)])
    expect(await copied()).toBe(1)
    expect(readdirSync(folder())).toEqual([])
  })

  it('the database fails in mid-delivery', async () => {
    await append(entryOf(1))
    const failing = (schedule: Schedule): Schedule => ({
      ...schedule,
      query: () => Promise.reject(new Error('cut')),
    })
    await expect(
      database.asAgent((schedule) => deliverJournal(state.path, failing(schedule), member, never)),
    ).rejects.toThrow('cut')
    expect(await journal()).toMatchObject({ length: 1 })
  })

  it('several deliver, and others append, at the same time', async () => {
    for (let number = 0; number < 20; number++) await append(entryOf(number))
    const appending = (async () => {
      for (let number = 20; number < 40; number++) await append(entryOf(number))
    })()
    await Promise.all([deliverAll(), deliverAll(), deliverAll(), appending])
    await deliverAll()
    expect(await logged()).toHaveLength(40)
    expect(await copied()).toBe(40)
    expect(readdirSync(folder())).toEqual([])
  })

  it('what a dead writer left is no entry, and is removed when it is old', async () => {
    await append(entryOf(1))
    const torn = join(folder(), '000000000002-x.json.y.tmp')
    writeFileSync(torn, '{"version":1,"cla')
    await deliverAll()
    expect(readdirSync(folder())).toEqual(['000000000002-x.json.y.tmp'])
    const old = new Date(Date.now() - 3_600_000)
    utimesSync(torn, old, old)
    await deliverAll()
    expect(readdirSync(folder())).toEqual([])
  })

  it('an entry that a disk damaged is set aside, and holds up nobody', async () => {
    await append(entryOf(1))
    const [name = ''] = readdirSync(folder())
    writeFileSync(join(folder(), name), 'x')
    await append(entryOf(2))
    await deliverAll()
    expect(await logged()).toEqual([segment(2)])
    expect(readdirSync(folder())).toEqual([`${name}.damaged`])
  })
})

describe('an entry is of one cluster, whoever the data directory belongs to now', () => {
  const locations = () =>
    database.rows<{ cluster: string; file: string }>(
      `select d.name as cluster, f.wal_name as file
       from pgarch.arch_file f join pgarch.arch_db_info d on d.id = f.db_id
       where f.member_id = any ($1) order by 1, 2`,
      [members],
    )
  /** From before entries named their cluster. */
  function writeOld(place: number, entry: Entry): void {
    const journal = join(state.path, 'journal')
    mkdirSync(journal, { recursive: true })
    const name = `${String(place).padStart(12, '0')}-${randomUUID()}.json`
    writeFileSync(join(journal, name), JSON.stringify({ version: 1, ...entry }))
  }
  let other: Owner
  let members: string[]

  beforeEach(async () => {
    const cluster = await addCluster(database, `o${clusters}`)
    other = { ...cluster.member, fingerprint: cluster.fingerprint }
    members = [member.memberId, other.memberId]
  })

  it('it waits while that is another one, and is delivered when it is this one again', async () => {
    await append(entryOf(1))
    const former = member
    member = other
    await append(entryOf(2))
    expect(await journal()).toMatchObject({ length: 2, ofOthers: 1 })
    // With PGARCH_MEMBER the state directory alone does not tell whose it is.
    expect(await journalState(state.path, undefined)).toMatchObject({ length: 2, ofOthers: 0 })
    expect(await deliverAll()).toMatchObject({ delivered: 1, left: 0 })
    expect(await locations()).toEqual([{ cluster: `o${clusters}`, file: segment(2) }])
    expect(await journal()).toMatchObject({ length: 1, oldest: expect.any(Date), ofOthers: 1 })
    member = former
    expect(await deliverAll()).toMatchObject({ delivered: 1, left: 0 })
    expect(await locations()).toContainEqual({ cluster: `c${clusters}`, file: segment(1) })
    expect(await journal()).toEqual({ length: 0, oldest: null, ofOthers: 0 })
  })

  it('one that was moved to another cluster is kept, and not delivered', async () => {
    await append(entryOf(1))
    const [name = ''] = readdirSync(folder())
    const moved = join(folder(), name)
    member = other
    mkdirSync(folder())
    renameSync(moved, join(folder(), name))
    await deliverAll()
    expect(await locations()).toEqual([])
    expect(readdirSync(folder())).toEqual([`${name}.damaged`])
  })

  it('old ones, which name none, come first, and stay with the first cluster that sees them', async () => {
    writeOld(7, entryOf(1))
    writeOld(8, entryOf(2))
    expect(await journal()).toMatchObject({ length: 2, oldest: expect.any(Date), ofOthers: 0 })
    await append(entryOf(3))
    const former = member
    member = other
    expect(await deliverAll()).toMatchObject({ delivered: 0 })
    member = former
    const told: string[][] = []
    await database.asAgent((schedule) =>
      deliverJournal(state.path, noting(schedule, told), member, never),
    )
    expect(told.flat()).toEqual([segment(1), segment(2), segment(3)])
    expect(await locations()).toHaveLength(3)
  })

  it('old ones are delivered when nothing else waits', async () => {
    writeOld(1, entryOf(1))
    expect(await deliverAll()).toMatchObject({ delivered: 1, left: 0 })
    expect(await locations()).toEqual([{ cluster: `c${clusters}`, file: segment(1) }])
    expect(await journal()).toMatchObject({ length: 0 })
  })
})

it('a conflict that comes to light at the delivery is told, logged as failed, and makes no copy', async () => {
  await append(entryOf(1, 'ours'))
  await deliverAll()
  await append(entryOf(1, 'theirs'))
  const { conflicts } = await deliverAll()
  expect(conflicts).toEqual([
    { walName: segment(1), sha256: claimOf('', 'ours').sha256, claimedBy: `c${clusters}-host` },
  ])
  expect(
    await database.rows(
      'select status, error from pgarch.arch_remote_log where member_id = $1 order by status',
      [member.memberId],
    ),
  ).toEqual([
    { status: false, error: expect.stringContaining('other content was archived by') },
    { status: true, error: null },
  ])
  expect(
    await database.rows('select wal_name from pgarch.arch_conflict where member_id = $1', [
      member.memberId,
    ]),
  ).not.toEqual([])
})

it('a local file is there until it is drained, however often that is told', async () => {
  const local = {
    ...entryOf(1),
    events: [eventOf(segment(1), 0, { pathId: null, status: 'local', fullPath: '/local/x' })],
  }
  const drained = {
    ...entryOf(1),
    events: [
      eventOf(segment(1), pathId),
      eventOf(segment(1), 0, { pathId: null, status: 'drained', fullPath: '/local/x' }),
    ],
  }
  const locals = () =>
    database.rows('select wal_name from pgarch.arch_copy where member_id = $1', [member.memberId])
  const deliverOnly = async (entry: Entry) => {
    await append(entry)
    await deliverAll()
  }
  await deliverOnly(local)
  expect(await locals()).toEqual([{ wal_name: segment(1) }])
  await deliverOnly(drained)
  expect(await locals()).toEqual([])
  await deliverOnly(local)
  expect(await locals()).toEqual([])
  expect(
    await database.rows('select status from pgarch.arch_local_log where member_id = $1', [
      member.memberId,
    ]),
  ).toHaveLength(2)
})
