import { describe, expect, test } from 'vitest'
import { refuseIfEnded } from '../../src/shipping/ended.ts'

const history = (timeline: number, ...forks: [number, bigint][]) => ({
  timeline,
  ancestors: forks.map(([ancestor, switchPoint]) => ({ timeline: ancestor, switchPoint })),
})

describe('a timeline has ended', () => {
  const position = { timeline: 2, flushed: 1000n }

  test.each([
    ['another branched off it before', [history(3, [1, 100n], [2, 999n])]],
    ['another branched off it right here', [history(3, [1, 100n], [2, 1000n])]],
    [
      'a later one descends from it',
      [history(4, [1, 5n]), history(5, [1, 100n], [2, 10n], [3, 20n])],
    ],
  ])('%s', (_, histories) => {
    expect(() => refuseIfEnded(position, histories)).toThrow(
      expect.objectContaining({ failure: 'refused', message: expect.stringMatching(/has ended/) }),
    )
  })

  test.each([
    ['there is no other', []],
    ['another branched off its parent', [history(3, [1, 100n])]],
    ['another branched off where this server has not come to', [history(3, [1, 100n], [2, 1001n])]],
  ])('not yet: %s', (_, histories) => {
    expect(() => refuseIfEnded(position, histories)).not.toThrow()
  })

  test('it says which', () => {
    expect(() => refuseIfEnded(position, [history(3, [2, 0x10n])])).toThrow(
      'timeline 2 has ended: timeline 3 branched off it at 0/10, and this server is at 0/3E8',
    )
  })
})
