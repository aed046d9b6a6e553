import { describe, expect, it } from 'vitest'
import { isBeforeLimit, limitBehind, parseCleanupLimit } from '../../src/wal/cleanup-limit.ts'
import { parseWalName, type SegmentName } from '../../src/wal/names.ts'

const zeros = '0'.repeat(24)
const segment = '000000020000000A000000FF'

it.each([
  [segment, segment],
  [`${segment}.partial`, segment],
  [`${segment}.00000028.backup`, segment],
  [zeros, 'all'],
  ['00000002.history', undefined],
  [segment.toLowerCase(), undefined],
  [`${segment}.zst`, undefined],
  [`${segment}0`, undefined],
  ['', undefined],
])('a clean-up up to "%s"', (text, limit) => {
  expect(parseCleanupLimit(text)).toBe(limit)
})

it.each([
  ['000000020000000A000000FE', true],
  ['000000010000000A000000FE', true],
  ['000000030000000A000000FE', true],
  ['000000030000000A000000FE.partial', true],
  [segment, false],
  ['000000010000000A000000FF', false],
  ['000000010000000B00000000', false],
  ['000000010000000A000000FE.00000028.backup', false],
  ['00000001.history', false],
  ['000000010000000A000000FE.zst', false],
  ['000000010000000a000000fe', false],
])('%s is before it: %s', (walName, isBefore) => {
  expect(isBeforeLimit(walName, segment)).toBe(isBefore)
})

describe('behind a segment that was restored', () => {
  const restored = parseWalName('000000020000000100000005') as SegmentName

  it.each([
    ['nothing is asked for', undefined, 0, 'all'],
    ['-k', undefined, 2, '000000020000000100000003'],
    ['-k into the log before', undefined, 10, '0000000200000000000000FB'],
    ['-k beyond the beginning', undefined, 261, 'all'],
    ['%r', '000000020000000100000002', 10, '000000020000000100000002'],
    ['%r, the segment itself', restored.name, 0, restored.name],
    ['%r that is later', '000000020000000100000006', 2, 'all'],
    ['%r of zeros', zeros, 2, 'all'],
    ['%r that is none', '%r', 2, 'all'],
  ])('%s', (_title, restart, keep, limit) => {
    expect(limitBehind(restored, { restart, keep }, 16 * 1024 ** 2)).toBe(limit)
  })
})
