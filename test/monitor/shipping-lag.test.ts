import { describe, expect, test } from 'vitest'
import { shippingLag } from '../../src/monitor/shipping-lag.ts'
import type { ClusterStatus, ShippingStatus } from '../../src/schedule/status.ts'

const time = (seconds: number) => new Date(1_700_000_000_000 + seconds * 1000)

const shipping: ShippingStatus = {
  host: 'one',
  path: 'berlin',
  timeline: 1,
  shippedLsn: '0/3000100',
  flushLsn: '0/3000100',
  caughtUpTime: time(0),
  toldTime: time(0),
  ended: false,
}

function cluster(of: Partial<ShippingStatus> | null, lastWalName: string | null = null) {
  const status: Partial<ClusterStatus> = {
    switch: 'start',
    route: [
      {
        path: 'berlin',
        priority: 1,
        active: true,
        failures: 0,
        lastFailureTime: null,
        lastError: null,
      },
    ],
    lastWalName,
    walSegmentSize: 16 * 1024 * 1024,
    shipping: of && { ...shipping, ...of },
  }
  return status as ClusterStatus
}

describe('how far shipping is behind', () => {
  test.each<[string, ClusterStatus, number | undefined]>([
    ['nobody ships', cluster(null), undefined],
    ['nothing was shipped yet', cluster({ shippedLsn: null }), undefined],
    ['all is shipped', cluster({}), 0],
    ['the server is further', cluster({ flushLsn: '0/3000200' }), 0x100],
    ['what was archived is what was shipped', cluster({}, '000000010000000000000002'), 0],
    ['the archive is further', cluster({}, '000000010000000000000003'), 0x1000000 - 0x100],
    ['another timeline was archived', cluster({}, '000000020000000000000003'), 0],
    ['a backup was archived', cluster({}, '000000010000000000000009.00000028.backup'), 0],
  ])('%s', (_, status, bytes) => {
    const lag = shippingLag(status, time(90))
    expect(lag?.bytes).toBe(bytes)
    if (lag !== undefined) expect(lag.milliseconds).toBe(lag.bytes === 0 ? 0 : 90_000)
  })
})
