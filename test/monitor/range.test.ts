import { describe, expect, test } from 'vitest'
import { alerts, formatRange, parseRange } from '../../src/monitor/range.ts'

describe('ranges of the Monitoring Plugins guidelines', () => {
  // The guidelines' own table, then what it leaves open.
  test.each<[string, number[], number[]]>([
    ['10', [0, 5, 10], [-1, -0.1, 10.1, 11]],
    ['10:', [10, 11, 1e9], [9.9, 0, -1]],
    ['~:10', [-1e9, 0, 10], [10.1, 1e9]],
    ['10:20', [10, 15.5, 20], [9, 21]],
    ['@10:20', [9.9, 20.1], [10, 15, 20]],
    [':10', [0, 10], [-1, 11]],
    ['0', [0], [-1, 1]],
    ['@0', [1, -1], [0]],
    ['-5:-1', [-5, -1], [-6, 0]],
    ['0.5:1.25', [0.5, 1.25], [0.49, 1.26]],
    ['@~:0', [1], [0, -1]],
  ])('%s', (text, good, bad) => {
    const range = parseRange(text)
    expect(good.filter((value) => alerts(range, value))).toEqual([])
    expect(bad.filter((value) => !alerts(range, value))).toEqual([])
  })

  test.each([
    ['10', '10'],
    ['0:10', '10'],
    [':10', '10'],
    ['10:', '10:'],
    ['0:', '0:'],
    ['~:10', '~:10'],
    ['@10:20', '@10:20'],
    ['@5', '@5'],
    ['010.50', '10.5'],
  ])('%s is written %s, which reads the same', (text, written) => {
    expect(formatRange(parseRange(text))).toBe(written)
    expect(parseRange(written)).toEqual(parseRange(text))
  })

  test.each(['', ':', '@', '~', '@:', '10s', '1e3', '5%', ' 5', '1:2:3', '~10', 'x', '5,5'])(
    '"%s" is none',
    (text) => expect(() => parseRange(text)).toThrow(/is not a range/),
  )

  test.each(['20:10', '-5', '0:-1', '~:~'])('"%s" is none either', (text) =>
    expect(() => parseRange(text)).toThrow(/ends before it starts|is not a range/),
  )
})
