import { once } from 'node:events'
import { Client } from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { archivedAge, deliver, listenForCopies } from '../../src/schedule/agent.ts'
import { type Server, serverVersions, startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  claimOf,
  createSchedule,
  eventOf,
  recordCopies,
  segment,
  type TestSchedule,
} from './fixture.ts'

describe.each(serverVersions())('on PostgreSQL $major', (version) => {
  let server: Server
  let schedule: TestSchedule
  beforeAll(async () => {
    server = await startServer({ version })
    schedule = await createSchedule(server, 'pgarch')
  })

  /** Hears what is notified on a cluster's channel, without saying that it waits. */
  async function eavesdrop(fingerprint: string): Promise<{ heard(): Promise<number> }> {
    const client = new Client({ connectionString: server.url('pgarch') })
    await client.connect()
    onTestFinished(() => client.end())
    let count = 0
    client.on('notification', ({ channel }) => {
      if (channel !== 'marker') count++
    })
    await client.query(`listen "pgarch_${fingerprint}"; listen marker`)
    return {
      async heard() {
        // Notifications come in the order of their commits.
        const marker = once(client, 'notification')
        await client.query('notify marker')
        await marker
        const before = count
        count = 0
        return before
      },
    }
  }

  test('who waits hears once of a batch; other clusters, failures and what is there already are not told', async () => {
    const cluster = await addCluster(schedule, 'awaited')
    const other = await addCluster(schedule, 'other', '7000000000000000002')
    const path = await addPath(schedule, 'awaited-path', [cluster, other])
    const record = (one: typeof cluster, ...events: Parameters<typeof recordCopies>[2]) =>
      schedule.asAgent((open) => recordCopies(open, one.member, events))
    const ear = await eavesdrop(cluster.fingerprint)

    await record(cluster, eventOf(segment(1), path))
    expect(await ear.heard()).toBe(0)

    let rang = 0
    await schedule.asAgent(async (open) => {
      expect(await listenForCopies(open, cluster.fingerprint, () => rang++)).toBe(true)
      await record(cluster, eventOf(segment(2), path), eventOf(segment(3), path))
      await open.query('select')
      expect([rang, await ear.heard()]).toEqual([1, 1])
      await record(other, eventOf(segment(4), path))
      await record(cluster, eventOf(segment(2), path, { status: 'already-stored' }))
      await record(cluster, eventOf(segment(5), path, { status: 'failed', error: 'no space' }))
      await open.query('select')
      expect([rang, await ear.heard()]).toEqual([1, 0])
    })
    await expect
      .poll(async () => {
        await record(cluster, eventOf(segment(6), path))
        return await ear.heard()
      })
      .toBe(0)
  })

  test('while a copy is being recorded nobody can be certain to hear of it', async () => {
    const cluster = await addCluster(schedule, 'busy', '7000000000000000003')
    const path = await addPath(schedule, 'busy-path', [cluster])
    const listen = () =>
      schedule.asAgent((open) => listenForCopies(open, cluster.fingerprint, () => {}))
    await schedule.asAgent(async (open) => {
      await open.query('begin')
      await recordCopies(open, cluster.member, [eventOf(segment(1), path)])
      expect(await listen()).toBe(false)
      await open.query('commit')
    })
    expect(await listen()).toBe(true)
  })

  test('how old a file is, the server tells by its own clock', async () => {
    const cluster = await addCluster(schedule, 'aged', '7000000000000000004')
    const path = await addPath(schedule, 'aged-path', [cluster])
    const age = (name: string) =>
      schedule.asAgent((open) => archivedAge(open, cluster.fingerprint, name))
    expect(await age(segment(1))).toBeNull()
    const time = new Date(Date.now() - 300 * 86_400_000)
    await schedule.asAgent((open) =>
      deliver(open, cluster.member, [
        { claim: claimOf(segment(1), 'one'), events: [eventOf(segment(1), path, { time })] },
      ]),
    )
    expect(await age(segment(1))).toBeLessThan(60_000)
    await schedule.rows(`update pgarch.arch_file set create_time = now() - interval '4 hours'`)
    expect(await age(segment(1))).toBeGreaterThanOrEqual(4 * 3_600_000)
  })
})
