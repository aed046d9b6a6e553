import { describe, expect, test } from 'vitest'
import {
  isWalSegmentSize,
  nextSegmentName,
  parseWalName,
  segmentName,
  segmentNumber,
  segmentStart,
} from '../../src/wal/names.ts'

const MB = 2 ** 20
const position = { timeline: 1, log: 2, segment: 3 }

function parseSegment(name: string) {
  const parsed = parseWalName(name)
  if (parsed === undefined || parsed.kind === 'history') throw new Error(`${name} is no segment`)
  return parsed
}

describe('a name that a server writes', () => {
  test.each([
    ['000000010000000200000003', { kind: 'segment', ...position }],
    ['000000010000000200000003.partial', { kind: 'partial', ...position }],
    ['000000010000000200000003.00000028.backup', { kind: 'backup', ...position, offset: 0x28 }],
    ['00000002.history', { kind: 'history', timeline: 2 }],
    ['FFFFFFFF.history', { kind: 'history', timeline: 0xffff_ffff }],
    [
      'FFFFFFFFFFFFFFFFFFFFFFFF',
      { kind: 'segment', timeline: 0xffff_ffff, log: 0xffff_ffff, segment: 0xffff_ffff },
    ],
  ])('%s', (name, expected) => {
    expect(parseWalName(name)).toEqual({ name, ...expected })
  })
})

describe('a name that no server writes', () => {
  test.each([
    [''],
    ['RECOVERYXLOG'],
    ['00000001000000020000000'],
    ['0000000100000002000000030'],
    ['00000001000000020000000g'],
    ['00000001000000020000000a'],
    ['0000000a.history'],
    ['000000000000000200000003'],
    ['00000000.history'],
    ['00000001.History'],
    ['0000001.history'],
    ['00000002.history.partial'],
    ['000000010000000200000003.PARTIAL'],
    ['000000010000000200000003.partial.gz'],
    ['000000010000000200000003.0000028.backup'],
    ['000000010000000200000003.0000002a.backup'],
    ['000000010000000200000003.backup'],
    ['000000010000000200000003\n'],
    [' 000000010000000200000003'],
    ['../000000010000000200000003'],
    ['pg_wal/00000002.history'],
    ['0x0000010000000200000003'],
  ])('%j', (name) => {
    expect(parseWalName(name)).toBeUndefined()
  })
})

test.each([
  [MB, true],
  [2 * MB, true],
  [16 * MB, true],
  [1024 * MB, true],
  [MB / 2, false],
  [2048 * MB, false],
  [4096 * MB, false],
  [3 * MB, false],
  [16 * MB + 1, false],
  [0, false],
  [-16 * MB, false],
  [Number.NaN, false],
])('a wal_segment_size of %i bytes: %s', (size, expected) => {
  expect(isWalSegmentSize(size)).toBe(expected)
})

describe.each([
  { size: MB, last: '00000FFF', tooMuch: '00001000', perLog: 4096 },
  { size: 16 * MB, last: '000000FF', tooMuch: '00000100', perLog: 256 },
  { size: 1024 * MB, last: '00000003', tooMuch: '00000004', perLog: 4 },
])('segments of $size bytes', ({ size, last, tooMuch, perLog }) => {
  test.each([
    ['00000000', '00000001', 1],
    ['00000000', last, perLog - 1],
    ['00000001', '00000000', perLog],
    ['0000000A', last, 11 * perLog - 1],
    ['FFFFFFFF', last, perLog * 2 ** 32 - 1],
  ])('log %s, segment %s', (log, segment, number) => {
    const name = `0000000B${log}${segment}`
    expect(segmentNumber(parseSegment(name), size)).toBe(number)
    expect(segmentName(11, number, size)).toBe(name)
    expect(segmentStart(number, size)).toBe(
      (BigInt(`0x${log}`) << 32n) + BigInt(`0x${segment}`) * BigInt(size),
    )
  })

  test.each([
    ['00000000', '00000001', '0000000000000002'],
    ['00000000', last, '0000000100000000'],
    ['000000FF', last, '0000010000000000'],
  ])('what comes after log %s, segment %s', (log, segment, expected) => {
    expect(nextSegmentName(parseSegment(`0000000B${log}${segment}`), size)).toBe(
      `0000000B${expected}`,
    )
  })

  test('nothing comes after the very last one', () => {
    expect(nextSegmentName(parseSegment(`0000000BFFFFFFFF${last}`), size)).toBeUndefined()
  })

  test('a segment beyond the log has no number and no successor', () => {
    const name = parseSegment(`0000000B00000001${tooMuch}`)
    expect(segmentNumber(name, size)).toBeUndefined()
    expect(nextSegmentName(name, size)).toBeUndefined()
  })

  test('each segment ends where the next one starts, and its name says so', () => {
    for (const number of [1, perLog - 2, perLog - 1, perLog, perLog + 1, 7 * perLog - 1]) {
      const name = parseSegment(segmentName(3, number, size))
      expect(nextSegmentName(name, size)).toBe(segmentName(3, number + 1, size))
      expect(segmentStart(number, size) + BigInt(size)).toBe(segmentStart(number + 1, size))
    }
  })
})
