import { describe, expect, test } from 'vitest'
import { parseWalName, type SegmentName } from '../../src/wal/names.ts'
import { checkSegmentHeader } from '../../src/wal/page-header.ts'
import { type MadeHeader, makeSegment } from '../support/wal.ts'

const walSegmentSize = 2 ** 20
const systemIdentifier = '7300000000000000001'
const cluster = { walSegmentSize, systemIdentifier }

function check(
  header: Partial<MadeHeader> = {},
  expected: { name?: string; size?: number; walSegmentSize?: number; bytes?: number } = {},
) {
  const { name = '000000030000000000000005', bytes = 8192 } = expected
  const segment = makeSegment({ timeline: 3, segno: 5, ...cluster, header })
  checkSegmentHeader(segment.subarray(0, bytes), {
    ...cluster,
    size: expected.size ?? segment.length,
    walSegmentSize: expected.walSegmentSize ?? walSegmentSize,
    name: parseWalName(name) as SegmentName,
  })
}

describe('accepted', () => {
  test.each<[string, Partial<MadeHeader>]>([
    ['as written', {}],
    ['PostgreSQL 12', { magic: 0xd101 }],
    ['PostgreSQL 13', { magic: 0xd106 }],
    ['PostgreSQL 14', { magic: 0xd10d }],
    ['PostgreSQL 15', { magic: 0xd110 }],
    ['PostgreSQL 16', { magic: 0xd113 }],
    ['PostgreSQL 17', { magic: 0xd116 }],
    ['PostgreSQL 18', { magic: 0xd118 }],
    ['a PostgreSQL of the future', { magic: 0xd11b }],
    ['all info bits', { info: 0x000f }],
    ['copied from the parent timeline', { timeline: 2 }],
    ['copied from the first timeline', { timeline: 1 }],
    ['blocks of 1 kB', { blockSize: 1024 }],
    ['blocks of 64 kB', { blockSize: 65536 }],
  ])('%s', (_, header) => {
    check(header)
  })

  test('a partial segment', () => check({}, { name: '000000030000000000000005.partial' }))
  test('no more bytes than the header has', () => check({}, { bytes: 40 }))

  test('a system identifier above 2^63', () => {
    const identifier = (2n ** 64n - 1n).toString()
    const segment = makeSegment({ segno: 1, walSegmentSize, systemIdentifier: identifier })
    checkSegmentHeader(segment, {
      name: parseWalName('000000010000000000000001') as SegmentName,
      size: segment.length,
      walSegmentSize,
      systemIdentifier: identifier,
    })
  })
})

describe('refused', () => {
  test.each<[string, Partial<MadeHeader>, RegExp]>([
    ['zeros', { magic: 0 }, /invalid magic number 0000/],
    ['PostgreSQL 11', { magic: 0xd098 }, /invalid magic number D098/],
    ['a development version', { magic: 0xd111 }, /invalid magic number D111/],
    ['not WAL', { magic: 0x8b1f }, /invalid magic number 8B1F/],
    ['magic beyond the range', { magic: 0xd200 }, /invalid magic number D200/],
    ['unknown info bits', { info: 0x0012 }, /invalid info bits 0012/],
    ['a short header', { info: 0x0001 }, /does not begin with a long page header/],
    [
      'another cluster',
      { systemIdentifier: '7300000000000000002' },
      /from a different cluster: its system identifier is 7300000000000000002, expected 7300000000000000001/,
    ],
    ['another segment size', { walSegmentSize: 2 ** 24 }, /says that segments have 16777216 bytes/],
    ['no block size', { blockSize: 0 }, /invalid block size 0/],
    ['a block size of no power of two', { blockSize: 8193 }, /invalid block size 8193/],
    ['a block size too small', { blockSize: 512 }, /invalid block size 512/],
    ['a block size too large', { blockSize: 131072 }, /invalid block size 131072/],
    [
      'a recycled segment',
      { pageAddress: 0x10_0000n },
      /unexpected page address 0\/100000, expected 0\/500000/,
    ],
    ['a page in the middle', { pageAddress: 0x50_2000n }, /unexpected page address 0\/502000/],
    ['a later timeline', { timeline: 4 }, /out-of-sequence timeline 4, expected 1 to 3/],
    ['no timeline', { timeline: 0 }, /out-of-sequence timeline 0/],
  ])('%s', (_, header, message) => {
    expect(() => check(header)).toThrow(
      expect.objectContaining({ failure: 'refused', message: expect.stringMatching(message) }),
    )
  })

  test.each<[string, Parameters<typeof check>[1], RegExp]>([
    ['truncated', { size: walSegmentSize - 1 }, /wrong size 1048575, expected 1048576/],
    ['empty', { size: 0, bytes: 0 }, /wrong size 0/],
    ['too long', { size: walSegmentSize + 1 }, /wrong size 1048577/],
    ['truncated while it was read', { bytes: 39 }, /only 39 bytes could be read/],
    ['another name', { name: '000000030000000000000006' }, /expected 0\/600000/],
    ['a name of an earlier timeline', { name: '000000020000000000000005' }, /timeline 3/],
    [
      'a name beyond the log',
      { name: '000000030000000000000005', walSegmentSize: 2 ** 30 },
      /cannot exist with a wal_segment_size of 1073741824/,
    ],
  ])('%s', (_, expected, message) => {
    expect(() => check({}, expected)).toThrow(
      expect.objectContaining({ failure: 'refused', message: expect.stringMatching(message) }),
    )
  })

  test.each<[string, Partial<MadeHeader>, RegExp]>([
    ['recycled', { pageAddress: 0x10_0000n }, /recycled/],
    ['another cluster', { systemIdentifier: '1' }, /never mixed/],
    ['never written', { magic: 0 }, /never written/],
  ])('with a hint: %s', (_, header, hint) => {
    expect(() => check(header)).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(hint) }),
    )
  })
})
