import { expect, it } from 'vitest'
import { reportAsMarkdown } from '../../src/report/markdown.ts'
import { reportAsText } from '../../src/report/text.ts'
import { fitColumns, wrap } from '../../src/report/text-columns.ts'
import { topOf } from '../../src/report/tick.ts'
import { hostile, sampleReport } from './sample.ts'

const longest = 'n'.repeat(63)
const unwanted = /[^\P{Cc}\n]|\p{Bidi_Control}/u

it.each([
  ['usual names', sampleReport()],
  [
    'the longest names and an error without a space',
    sampleReport({ name: longest, word: longest.repeat(5) }),
  ],
  ['what a host sent', sampleReport({ word: hostile })],
  ['two years', sampleReport({ days: 731 })],
])('the text fits a mail: %s', (_, report) => {
  const text = reportAsText(report)
  const lines = text.split('\n')
  expect(lines.filter((line) => line.length > 76)).toEqual([])
  expect(lines.filter((line) => / $/.test(line))).toEqual([])
  expect(text.match(unwanted)).toBeNull()
  // Mails from cron are told no encoding.
  expect(text.match(/[^\n -~]/)).toBeNull()
})

it('the text has every part, and figures under their titles', () => {
  const text = reportAsText(sampleReport())
  expect(text).toMatch(
    /^pgarch report, 2026-11-14 to 2026-11-21 UTC, made 2026-11-21 .*\n\nSummary\n/,
  )
  expect(text).toContain('10000 archiving, 1 paused, 2 retired\n')
  expect(text).toContain('2000 GB, 1050 GB used (52 %); unknown of 1 path\n')
  expect(text).toMatch(/\nday \(UTC\) +files +WAL +stored +failed tries\n/)
  expect(text).toMatch(/\n2026-11-21 +7000 +109 TB +7168 MB +1\n/)
  expect(text).toMatch(/\nberlin .* 95 .*2027-01-10\n/)
  expect(text).toMatch(/\nmadrid .* 10 .*2029-05-09\n/)
  expect(text).toContain('\nAnd 5 more.\n')
  expect(text).toMatch(/\nnew +- +never +60\n/)
})

it('nothing that is wide is cut off: it goes on in the next line', () => {
  const word = 'open of /archive/pg/pgarch-path failed: permission denied for user archive'
  const text = reportAsText(sampleReport({ word })).replaceAll(/\s+/g, '')
  expect(text).toContain(word.replaceAll(' ', ''))
})

it('a WAL file is never broken where names are usual', () => {
  const name = '000000010000000000000006'
  const text = reportAsText(sampleReport({ walName: name, name: 'cluster-of-sales' }))
  expect(text).toMatch(new RegExp(`\ncluster-of-sales +${name} +2026-`))
})

it.each([
  ['they fit', ['one two', 'three'], 14, [7, 5]],
  ['at spaces first', ['0000000100000001', 'one two three four'], 28, [16, 10]],
  [
    'the widest of those with spaces',
    ['one two three', 'one two three four', 'x'],
    26,
    [11, 10, 1],
  ],
  ['a word must break: the widest gives way', ['abcdefghijklmnop', 'one two three'], 20, [9, 9]],
  ['nothing is narrower than this', ['abcdefghij', 'abcdefghij'], 9, [7, 7]],
])('columns: %s', (_, row, width, widths) => {
  expect(fitColumns([row], width)).toEqual(widths)
})

it('lines are broken at spaces, within words that are too wide, and never within a wide character', () => {
  expect(wrap('one two three', 8)).toEqual(['one two', 'three'])
  expect(wrap('a abcdefgh b', 3)).toEqual(['a', 'abc', 'def', 'gh', 'b'])
  expect(wrap('接続が拒否', 5)).toEqual(['接続', 'が拒', '否'])
  expect(wrap('', 5)).toEqual([''])
})

it('markdown has tables, and takes nothing that was sent for markup', () => {
  const markdown = reportAsMarkdown(sampleReport({ word: hostile }))
  const rows = markdown.split('\n').filter((line) => line.startsWith('|'))
  const cells = (line: string) => line.replaceAll(/\\./g, '').split('|').length
  expect(cells(rows.find((line) => line.startsWith('| berlin')) ?? '')).toBe(10)
  expect(markdown).toContain(
    '\\<script\\>alert("1")\\</script\\>\\&amp;\\|\\`\\*\\_\\[x\\](http\\://x.example) \\[2J \\# www\\.x.example',
  )
  expect(markdown.match(unwanted)).toBeNull()
  expect(markdown).toContain('\n| day (UTC) | files | WAL | stored | failed tries |\n| --- | --: |')
})

it.each([
  [0, 'count', 2, '1'],
  [3, 'count', 4, '2'],
  [5, 'count', 6, '3'],
  [9, 'count', 10, '5'],
  [11, 'count', 20, '10'],
  [0, 'bytes', 2, '1 bytes'],
  [5 * 1024 ** 3, 'bytes', 6 * 1024 ** 3, '3 GB'],
  [1023 * 1024 ** 2, 'bytes', 2000 * 1024 ** 2, '1000 MB'],
  [1024 ** 4, 'bytes', 2 * 1024 ** 4, '1 TB'],
] as const)('a chart of at most %d (%s) ends at %d', (most, unit, top, half) => {
  const found = topOf(most, unit)
  expect(found.top).toBe(top)
  expect(found.label(0.5)).toBe(half)
})
