import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { fetchRoute } from '../../src/schedule/agent.ts'
import { retireCluster } from '../../src/schedule/clusters.ts'
import { enrolMember } from '../../src/schedule/members.ts'
import { reportShipping, type ShippingReport } from '../../src/schedule/shipping.ts'
import { queryStatus } from '../../src/schedule/status.ts'
import type { Membership } from '../../src/schedule/types.ts'
import { serverVersions, startServer } from '../support/postgres.ts'
import { addCluster, addPath, claimOf, createSchedule, type TestSchedule } from './fixture.ts'

describe.each(serverVersions())('on PostgreSQL $major', (version) => {
  let schedule: TestSchedule
  beforeAll(async () => {
    schedule = await createSchedule(await startServer({ version }), 'pgarch')
  })

  /** A cluster with members on two hosts. */
  async function makeCluster(name: string) {
    const cluster = await addCluster(schedule, name)
    const host = { host: 'other-host', dataDirectory: '/data' }
    const other = await schedule.asAdmin((s) => enrolMember(s, cluster.fingerprint, host))
    return { ...cluster, other }
  }

  const report = (member: Membership, of: Partial<ShippingReport>) =>
    schedule.asAgent((s) =>
      reportShipping(s, member, {
        ...{ shipper: randomUUID(), timeline: 1, shipped: null, flushed: null, pathId: null },
        ended: false,
        ...of,
      }),
    )
  const statusOf = async (fingerprint: string) =>
    (await schedule.asAdmin((s) => queryStatus(s, fingerprint)))[0]?.shipping

  test('what is told shows in the status; what is not told then stays', async () => {
    const { fingerprint, member } = await makeCluster('told')
    const pathId = await addPath(schedule, 'told-path', [])
    expect(await statusOf(fingerprint)).toBeNull()
    const shipper = randomUUID()
    expect(await report(member, { shipper })).toMatchObject({ holder: null, histories: [] })
    const far = { shipped: 0x1_0000_0100n, flushed: 0x1_0000_0100n, pathId }
    await report(member, { shipper, ...far })
    const caughtUp = (await statusOf(fingerprint))?.caughtUpTime
    await report(member, { shipper, ...far, flushed: 0x1_0000_0200n })
    await report(member, { shipper, ended: true })
    expect(await statusOf(fingerprint)).toEqual({
      host: 'told-host',
      path: 'told-path',
      timeline: 1,
      shippedLsn: '1/100',
      flushLsn: '1/200',
      caughtUpTime: caughtUp,
      toldTime: expect.any(Date),
      ended: true,
    })
  })

  test('one shipper at a time: others are refused, until it ends, is silent, or is outdated', async () => {
    const { fingerprint, member, other } = await makeCluster('one')
    const first = randomUUID()
    await report(member, { shipper: first, shipped: 100n, flushed: 100n })
    const refused = { holder: 'one-host' }
    expect(await report(other, { shipped: 5n, flushed: 5n })).toMatchObject(refused)
    expect((await statusOf(fingerprint))?.shippedLsn).toBe('0/64')
    // The lock of its host has let the next one in.
    const next = randomUUID()
    expect(await report(member, { shipper: next })).toMatchObject({ holder: null })
    expect(await report(other, {})).toMatchObject(refused)

    await schedule.rows(
      `update pgarch.arch_shipping set lease_end = now() - interval '1 second' where db_id = $1`,
      [fingerprint],
    )
    const silent = randomUUID()
    expect(await report(other, { shipper: silent })).toMatchObject({ holder: null })
    expect(await report(member, { shipper: next })).toMatchObject({ holder: 'other-host' })
    await report(other, { shipper: silent, ended: true })
    expect(await report(member, { shipper: next })).toMatchObject({ holder: null })
    expect(await report(other, { timeline: 2 })).toMatchObject({ holder: null })
    expect(await report(member, { shipper: next })).toMatchObject({ holder: 'other-host' })
  })

  test('all later timelines are told', async () => {
    const cluster = await makeCluster('timelines')
    const { member } = cluster
    await addPath(schedule, 'timelines-path', [cluster])
    const history = (timeline: string) => ({
      ...claimOf(`${timeline}.history`, timeline),
      history: Buffer.from(timeline),
    })
    const claims = ['00000002', '00000009', '0000000A', '00000010'].map(history)
    await schedule.asAgent((s) => fetchRoute(s, member, claims))
    const later = async (timeline: number) => {
      const { histories } = await report(member, { timeline })
      return histories.map(({ walName, content }) => `${walName} ${content}`).sort()
    }
    expect(await later(9)).toEqual(['0000000A.history 0000000A', '00000010.history 00000010'])
    expect(await later(1)).toHaveLength(4)
    expect(await later(0xffff_ffff)).toEqual([])
  })

  test('only for members of a cluster that is not retired', async () => {
    const { fingerprint, member } = await makeCluster('retired')
    const refused = expect.objectContaining({ failure: 'refused' })
    await expect(report({ ...member, credential: 'other' }, {})).rejects.toEqual(refused)
    await schedule.asAdmin((s) => retireCluster(s, fingerprint))
    await expect(report(member, {})).rejects.toEqual(refused)
  })
})
