import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import type { Server } from '../support/postgres.ts'
import { countOf, startRestored, takeBackup, untilPrimary } from '../support/restored.ts'
import {
  includeShipped,
  type RunningShipper,
  shippedContent,
  shippedFiles,
  shippedUpTo,
  startShipper,
  untilShipped,
} from '../support/shipper.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { startWaiting } from '../support/waiting.ts'
import { isFull, limit } from './extent.ts'
import { hostOf, takeDisk, type Writers, write } from './lost-host.ts'
import { impatient } from './takeover.ts'
import { startTcpProxy, type Trouble } from './tcp-proxy.ts'

let fleet: Fleet
let sshd: Sshd
let root: string

beforeAll(async () => {
  fleet = await startFleet({ environment: impatient })
  sshd = await startSshd({ folder: fleet.folder })
  root = await fleet.addPath('berlin', { sshd })
})

/** One round of the table in docs/ship.md, in transactions. */
interface Row {
  readonly acknowledged: number
  /** Acknowledged when all of them was on the path. */
  readonly shipped: number
  readonly recovered: number
  readonly lost: number
  /** How long before the end the oldest one that was lost was acknowledged, in milliseconds. */
  readonly oldestLost: number
  /** With what was archived alone. */
  readonly lostWithoutShip: number
  readonly oldestLostWithoutShip: number
}

describe('the host of a primary is lost, with its disk', () => {
  test('all that was shipped is recovered', { timeout: limit }, async () => {
    const rows: Row[] = []
    const rounds = isFull ? 20 : 2
    for (let round = 1; round <= rounds; round++) rows.push(await loseAndRecover(round))
    if (isFull) printTable(rows)
  })
})

async function loseAndRecover(round: number): Promise<Row> {
  const name = `lost-${round}`
  const primary = await fleet.startPrimary(name, ['berlin'], {
    settings: { synchronous_commit: 'on', archive_timeout: '60s' },
  })
  const writers = await write(primary)
  const backup = await takeBackup(fleet, primary, `${name}-backup`, { includeWal: true })
  const without = await takeBackup(fleet, primary, `${name}-without`)
  const standby = await startWaiting(fleet, backup)
  const shipper = startShipper(fleet, primary)
  await untilShipped(primary, root)
  writers.start()
  await writers.acknowledged(10)
  const host = hostOf(primary)
  // Not always at the same place of a segment.
  await writers.acknowledged((isFull ? 3000 : 300) + Math.floor(Math.random() * 1000))
  const end = host.lose(shipper)
  await Promise.all([writers.ended(), primary.ended(), shipper.ended()])
  takeDisk(primary)
  const shippedEnd = await shippedUpTo(primary, root)

  standby.trigger('smart')
  const recovered = await foundAfterRecovery(standby.server, writers)
  const last = await startRestored(fleet, without, 'recovery')
  const archived = await foundAfterRecovery(last, writers)
  const acknowledged = writers.all()
  const shipped = acknowledged.filter(({ flushed }) => flushed <= shippedEnd)
  expect(shipped.filter(({ id }) => !recovered.has(id))).toEqual([])
  const lost = acknowledged.filter(({ id }) => !recovered.has(id))
  const lostWithout = acknowledged.filter(({ id }) => !archived.has(id))
  const oldest = (times: typeof lost) => Math.max(0, ...times.map(({ time }) => end - time))
  return {
    acknowledged: acknowledged.length,
    shipped: shipped.length,
    recovered: acknowledged.length - lost.length,
    lost: lost.length,
    oldestLost: Math.round(oldest(lost)),
    lostWithoutShip: lostWithout.length,
    oldestLostWithoutShip: Math.round(oldest(lostWithout)),
  }
}

/** The transactions that a recovery to the end of WAL finds. */
async function foundAfterRecovery(server: Server, writers: Writers): Promise<Set<string>> {
  await untilPrimary(server)
  const found = await writers.found(server)
  await server.stop('immediate')
  return found
}

function printTable(rows: readonly Row[]): void {
  const lines = rows.map(
    (row, index) => `| ${[index + 1, ...Object.values(row)].map(String).join(' | ')} |`,
  )
  const head = `| round | ${Object.keys(rows[0] ?? {}).join(' | ')} |`
  process.stdout.write(`${[head, ...lines].join('\n')}\n`)
}

describe('an append does not come to its end', () => {
  async function startThrough(name: string, trouble: Trouble, paths: readonly string[]) {
    // Two of SFTP's requests, and not four.
    const proxy = await startTcpProxy(sshd, 650_000)
    onTestFinished(() => proxy.close())
    const there = await fleet.addPath(`${name}-bad`, { sshd: { ...sshd, port: proxy.port } })
    const primary = await fleet.startPrimary(name, [`${name}-bad`, ...paths])
    await primary.query('create table numbers (n int); create table noise (bytes bytea)')
    const backup = await takeBackup(fleet, primary, `${name}-backup`)
    proxy.trouble = trouble
    const shipper = startShipper(fleet, primary)
    await primary.query('insert into numbers select generate_series(1, 10)')
    await untilShipped(primary, there)
    return { primary, backup, there, shipper }
  }

  /** More than passes before the trouble begins, and does not compress. */
  async function makeNoise(primary: Server): Promise<void> {
    await primary.query(
      `insert into noise select decode(string_agg(md5(random()::text), ''), 'hex')
       from generate_series(1, 50000) as part group by part / 90`,
    )
  }

  async function expectOwn(primary: Server, file: string): Promise<void> {
    const { wal } = await shippedContent(file)
    const segment = basename(file).slice(0, 24)
    const own = readFileSync(join(primary.dataDirectory, 'pg_wal', segment))
    expect(wal.equals(own.subarray(0, wal.length))).toBe(true)
  }

  async function expectRecovered(backup: string, numbers: number): Promise<void> {
    const server = await startRestored(fleet, backup, 'recovery', {
      settings: includeShipped(fleet),
    })
    await untilPrimary(server)
    expect(await countOf(server, 'numbers')).toBe(numbers)
    await server.stop('immediate')
  }

  const end = async (primary: Server, shipper: RunningShipper) => {
    hostOf(primary).lose(shipper)
    await Promise.all([primary.ended(), shipper.ended()])
  }

  test('the shipper is killed: what was whole before counts', { timeout: limit }, async () => {
    const { primary, backup, there, shipper } = await startThrough('torn', 'drip', [])
    await primary.query('select pg_switch_wal()')
    await untilShipped(primary, there)
    // So that all of it is one append.
    shipper.kill('SIGSTOP')
    await makeNoise(primary)
    shipper.kill('SIGCONT')
    const isTorn = async () => {
      const contents = await Promise.all(shippedFiles(there, primary).map(shippedContent))
      return contents.some(({ cut }) => cut > 10_000)
    }
    await waitFor('an append is on its way', isTorn)
    await end(primary, shipper)
    for (const file of shippedFiles(there, primary)) await expectOwn(primary, file)
    await expectRecovered(backup, 10)
  })

  test('its path is cut: the next one has all of it', { timeout: limit }, async () => {
    const second = await fleet.addPath('paris')
    const { primary, backup, shipper, there } = await startThrough('cut', 'reset', ['paris'])
    await makeNoise(primary)
    await primary.query('insert into numbers select generate_series(1, 10)')
    await untilShipped(primary, second)
    expect(shipper.log().match(/connection lost/g)).toHaveLength(1)
    await end(primary, shipper)
    for (const file of shippedFiles(there, primary)) await expectOwn(primary, file)
    await expectRecovered(backup, 20)
  })
})
