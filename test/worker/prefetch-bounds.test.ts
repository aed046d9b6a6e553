import { expect, it } from 'vitest'
import { mostAhead } from '../../src/worker/prefetch-bounds.ts'

const megabyte = 1024 ** 2

it.each([
  { wanted: 8, megabytes: 16, most: 8 },
  { wanted: 64, megabytes: 16, most: 64 },
  { wanted: 64, megabytes: 32, most: 32 },
  { wanted: 8, megabytes: 128, most: 8 },
  { wanted: 8, megabytes: 256, most: 4 },
  { wanted: 8, megabytes: 1024, most: 1 },
  { wanted: 1, megabytes: 1024, most: 1 },
])(
  '$wanted segments of $megabytes MB are wanted: $most may lie ahead',
  ({ wanted, megabytes, most }) => {
    expect(mostAhead(wanted, megabytes * megabyte)).toBe(most)
  },
)
