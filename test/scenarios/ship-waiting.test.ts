import { beforeAll, expect, it } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import type { Server } from '../support/postgres.ts'
import { countOf, timelineOf, untilPrimary } from '../support/restored.ts'
import { shippedFiles, startShipper, untilShipped } from '../support/shipper.ts'
import {
  archiveNumbers,
  startSource,
  startWaiting,
  untilAtEnd,
  untilReplayed,
} from '../support/waiting.ts'

let fleet: Fleet
let root: string

beforeAll(async () => {
  fleet = await startFleet()
  root = await fleet.addPath('berlin')
})

/** A standby that waits; 200 numbers are archived, 100 more shipped, when the primary is lost. */
async function lose(name: string, options = '') {
  const { primary, backup } = await startSource(fleet, name, ['berlin'])
  const standby = await startWaiting(fleet, backup, options)
  const shipper = startShipper(fleet, primary)
  await archiveNumbers(primary)
  await primary.query('insert into numbers select generate_series(1, 100)')
  await untilShipped(primary, root)
  await untilReplayed(standby.server, 200)
  await untilAtEnd(fleet, name, standby.server)
  primary.kill('SIGKILL')
  await primary.ended()
  shipper.kill('SIGKILL')
  await shipper.ended()
  return { ...standby, primary }
}

async function end(server: Server, count: number): Promise<void> {
  await untilPrimary(server)
  expect(await countOf(server, 'numbers')).toBe(count)
  expect(await timelineOf(server)).toBe(2)
  await server.stop('immediate')
}

it('a standby waits; nothing that is shipped comes to it before a smart trigger, and then all', async () => {
  const { server, trigger } = await lose('smart')
  expect(server.log()).not.toContain('shipped')
  trigger('smart')
  await end(server, 300)
  expect(server.log().match(/was placed from the shipped file/g)?.length).toBeGreaterThan(1)
})

it('a wait that ends by itself gives nothing of it', async () => {
  const { server } = await lose('late', '--max-wait 20')
  await end(server, 200)
  expect(server.log()).not.toContain('was placed from the shipped file')
})

it('with a fast trigger nothing of it comes, and it stays on the path', async () => {
  const { server, trigger, primary } = await lose('fast')
  trigger('fast')
  await end(server, 200)
  expect(server.log()).not.toContain('was placed from the shipped file')
  expect(shippedFiles(root, primary)).not.toEqual([])
})
