import { describe, expect, test } from 'vitest'
import { clusterConcerns } from '../../src/archive/concerns.ts'
import { shippingLag } from '../../src/archive/shipping-lag.ts'
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
    route: [{ path: 'berlin', priority: 1, active: true }],
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

  test('a person is told when it lasts, and the shipper has not ended by itself', () => {
    const behind = { flushLsn: '0/3000200' }
    expect(clusterConcerns(cluster(behind), time(90))).toEqual(['shipping is 256 bytes behind'])
    expect(clusterConcerns(cluster(behind), time(30))).toEqual([])
    expect(clusterConcerns(cluster({ ...behind, ended: true }), time(90))).toEqual([])
    expect(clusterConcerns(cluster({}), time(90))).toEqual([])
  })
})
