import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { deliver, fetchRoute } from '../../src/schedule/agent.ts'
import { queryLog } from '../../src/schedule/log.ts'
import { queryStatus } from '../../src/schedule/status.ts'
import type { CopyEvent, Membership } from '../../src/schedule/types.ts'
import { startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  claimOf,
  createSchedule,
  eventOf,
  segment,
  type TestSchedule,
} from './fixture.ts'

const hour = 3_600_000

let schedule: TestSchedule
let member: Membership
let fingerprint: string
let path: number
let clusters = 0

beforeAll(async () => {
  schedule = await createSchedule(await startServer(), 'clocks')
})

beforeEach(async () => {
  const cluster = await addCluster(schedule, `c${++clusters}`)
  ;({ member, fingerprint } = cluster)
  path = await addPath(schedule, `p${clusters}`, [cluster])
})

/** What a host whose clock is off by so many milliseconds tells. */
function tells(
  when: 'at once' | 'later',
  number: number,
  offset: number,
  properties: Partial<CopyEvent> = {},
): Promise<unknown> {
  const time = new Date(Date.now() + offset)
  return tell(when, eventOf(segment(number), path, { time, ...properties }))
}

function tell(when: 'at once' | 'later', event: CopyEvent): Promise<unknown> {
  const entry = { claim: claimOf(event.walName, event.walName), events: [event] }
  return schedule.asAgent((agent) => deliver(agent, member, [entry], when))
}

const failure = { status: 'failed', storedBytes: null, error: 'no space' } as const

async function status() {
  const [one] = await schedule.asAdmin((admin) => queryStatus(admin, fingerprint))
  return one
}

const entries = () =>
  schedule.asAdmin((admin) =>
    queryLog(admin, { fingerprint, failedOnly: false, since: null, limit: 100 }),
  )

const isNow = (time: Date | null | undefined) =>
  Math.abs((time?.getTime() ?? 0) - Date.now()) < 60_000

describe.each([
  ['an hour back', -hour],
  ['an hour forth', hour],
])("a host's clock is %s", (_, offset) => {
  it('what it archives is logged once, with the time that it was, and is the newest', async () => {
    await tells('at once', 1, 0)
    await tells('at once', 2, offset)
    expect(await status()).toMatchObject({ lastWalName: segment(2), failures: 0 })
    expect(isNow((await status())?.lastArchivedTime)).toBe(true)
    const [log] = (await entries()).filter(({ walName }) => walName === segment(2))
    expect(isNow(log?.time)).toBe(true)
    expect(Math.abs((log?.hostTime?.getTime() ?? 0) - Date.now() - offset)).toBeLessThan(60_000)
  })

  it('its failures show, and so do those after the clock is right again', async () => {
    await tells('at once', 1, 0)
    await tells('at once', 2, offset, failure)
    expect(await status()).toMatchObject({ failures: 1, lastError: 'no space' })
    await tells('at once', 2, offset)
    expect(await status()).toMatchObject({ failures: 0, lastWalName: segment(2) })
    await tells('at once', 3, 0, { ...failure, error: 'gone' })
    expect(await status()).toMatchObject({ failures: 1, lastError: 'gone' })
    await tells('at once', 3, 0)
    expect(await status()).toMatchObject({ failures: 0, lastWalName: segment(3) })
  })

  it('an answer that was lost, and a journal that tells it again: it counts once', async () => {
    const time = new Date(Date.now() + offset)
    const events = [1, 2, 3, 4, 5].map((number) => eventOf(segment(number), path, { time }))
    const [answered, ...unanswered] = events as [CopyEvent, ...CopyEvent[]]
    await tell('at once', answered)
    await tell('later', answered)
    for (const event of unanswered) {
      const claim = claimOf(event.walName, event.walName)
      await schedule.asAgent((agent) => fetchRoute(agent, member, [claim]))
      const deliveries = (['at once', 'later', 'at once', 'later'] as const).map((when) =>
        tell(when, event),
      )
      await Promise.all(deliveries)
    }
    expect(await entries()).toHaveLength(events.length)
  })

  it('what waited in a journal keeps its time, and passes for nothing newer', async () => {
    await tells('later', 1, offset)
    await tells('at once', 2, 0)
    await tells('later', 3, -2 * hour)
    expect(await status()).toMatchObject({ lastWalName: segment(2) })
    expect(isNow((await status())?.lastArchivedTime)).toBe(true)
    expect((await entries()).map(({ hostTime }) => hostTime)).toEqual([null, null, null])
  })
})

it('tries of one push are in its order, whatever their times say', async () => {
  const tries = [
    eventOf(segment(1), path, { ...failure, time: new Date(Date.now() + hour) }),
    eventOf(segment(1), path, { time: new Date() }),
  ]
  const entry = { claim: claimOf(segment(1), 'x'), events: tries }
  await schedule.asAgent((agent) => deliver(agent, member, [entry], 'at once'))
  expect(await status()).toMatchObject({ failures: 0, lastWalName: segment(1) })
})

it("the database's clock was an hour ahead: what is newer shows, and who was seen", async () => {
  await tells('at once', 1, 0)
  for (const column of ['last_archived_time', 'last_failure_time']) {
    await schedule.rows(
      `update pgarch.arch_db_status set ${column} = now() + interval '1 hour' where db_id = $1`,
      [fingerprint],
    )
  }
  await schedule.rows(
    "update pgarch.arch_member set last_seen = now() + interval '1 hour' where id = $1",
    [member.memberId],
  )
  await schedule.asAgent((agent) => fetchRoute(agent, member, []))
  await tells('at once', 2, 0, failure)
  expect(await status()).toMatchObject({ failures: 1, lastError: 'no space' })
  await tells('at once', 3, 0)
  const now = await status()
  expect(now).toMatchObject({ failures: 0, lastWalName: segment(3) })
  expect(isNow(now?.lastArchivedTime)).toBe(true)
  expect(isNow(now?.members[0]?.lastSeen)).toBe(true)
})
