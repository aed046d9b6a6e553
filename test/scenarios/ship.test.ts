import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { countOf, startRestored, takeBackup, untilPrimary } from '../support/restored.ts'
import {
  includeShipped,
  shippedContent,
  shippedFiles,
  startShipper,
  untilShipped,
} from '../support/shipper.ts'
import { startSshd } from '../support/sshd.ts'

let fleet: Fleet
let root: string

beforeAll(async () => {
  fleet = await startFleet()
  const sshd = await startSshd({ folder: fleet.folder })
  root = await fleet.addPath('berlin', { sshd })
})

it('what is written is shipped as it is, goes once the segment is archived, and the primary is lost: a recovery has all of it', async () => {
  const primary = await fleet.startPrimary('lost', ['berlin'])
  await primary.query('create table numbers (n int)')
  const backup = await takeBackup(fleet, primary, 'lost-backup')
  const shipper = startShipper(fleet, primary)
  await primary.query('insert into numbers select generate_series(1, 100)')
  await untilShipped(primary, root)

  const [file = ''] = shippedFiles(root, primary)
  const { wal, cut } = await shippedContent(file)
  const segment = basename(file).slice(0, 24)
  const own = readFileSync(join(primary.dataDirectory, 'pg_wal', segment))
  expect(wal.equals(own.subarray(0, wal.length))).toBe(true)
  expect(cut).toBe(0)

  await archiveSegment(primary)
  await primary.query('insert into numbers select generate_series(1, 100)')
  await untilShipped(primary, root)
  await waitFor(
    'the archived segment is shipped no more',
    () => shippedFiles(root, primary).length === 1,
  )
  expect(basename(shippedFiles(root, primary)[0] ?? '') > segment).toBe(true)

  await primary.query('insert into numbers values (1)')
  await untilShipped(primary, root)
  primary.kill('SIGKILL')
  await primary.ended()
  shipper.kill('SIGKILL')
  await shipper.ended()

  const recovered = await startRestored(fleet, backup, 'recovery', {
    settings: includeShipped(fleet),
  })
  await untilPrimary(recovered)
  expect(await countOf(recovered, 'numbers')).toBe(201)
  expect(recovered.log()).toContain('was placed from the shipped file')
  await recovered.stop('immediate')
})

it('an idle primary costs no byte on the path and no word to the scheduling database', async () => {
  const primary = await fleet.startPrimary('idle', ['berlin'])
  const shipper = startShipper(fleet, primary)
  await primary.query('create table numbers (n int); checkpoint')
  await untilShipped(primary, root)
  const told = () =>
    fleet.rows('select told_time from pgarch.arch_shipping order by 1 desc limit 1')
  await waitFor('the scheduling database knows', async () => (await told()).length > 0)
  await sleep(2500)
  const [before, sizes] = [
    await told(),
    shippedFiles(root, primary).map((file) => readFileSync(file).length),
  ]
  await sleep(2500)
  expect(await told()).toEqual(before)
  expect(shippedFiles(root, primary).map((file) => readFileSync(file).length)).toEqual(sizes)
  expect(shipper.log()).toBe('')
  const json = async (...words: string[]) =>
    JSON.parse((await fleet.pgarch(['status', ...words, '--json'], { admin: true })).stdout)
  expect(await json('idle')).toMatchObject([
    { shippingLag: { bytes: 0, milliseconds: 0 }, shipping: { path: 'berlin', ended: false } },
  ])
  const own = async () =>
    (await json('--host')).find(
      ({ dataDirectory }: { dataDirectory: string }) => dataDirectory === primary.dataDirectory,
    )
  expect(await own()).toMatchObject({
    shipping: { isRunning: true, path: 'berlin', lagBytes: 0, timeline: 1 },
  })
  const { stdout } = await fleet.pgarch(['status', 'idle'], { admin: true })
  expect(stdout).toMatch(/shipping lag +none/)
  shipper.kill('SIGTERM')
  await shipper.ended()
  expect(await own()).toMatchObject({ shipping: { isRunning: false } })
  expect(await json('idle')).toMatchObject([{ shipping: { ended: true } }])
  await primary.stop('immediate')
})
