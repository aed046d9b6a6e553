import { stripVTControlCharacters } from 'node:util'
import chalk from 'chalk'
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { PgarchError } from '../src/errors.ts'
import { log } from '../src/log.ts'
import { printFields, printLine, printRows, tone } from '../src/print.ts'

let printed: string
beforeEach(() => {
  printed = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text
    return true
  })
})
afterEach(() => {
  vi.restoreAllMocks()
})

const hostile = 'a\u001b[2Jb\u009b1Ac\r\nd\u202ee'
const unwanted = /[^\P{Cc}\n]|\p{Bidi_Control}/u
const harmless = 'a [2Jb 1Ac d e'

it('nothing that a host sent steers the terminal, in a table or a field', () => {
  const rows = [{ host: hostile, nested: [{ error: hostile }], at: new Date(0), none: null }]
  printRows(
    rows,
    [
      { title: 'host', value: ({ host }) => host },
      { title: 'error', value: ({ nested }) => tone.bad(nested[0]?.error ?? '') },
      { title: 'at', value: ({ at, none }) => none ?? at.getTime() },
    ],
    { none: 'none' },
  )
  printFields({ host: hostile, none: null })
  expect(printed.split('\n')[1]).toMatch(
    new RegExp(`^${literal(harmless)}  ${literal(harmless)}  0$`),
  )
  expect(printed).toContain(`host  ${harmless}\nnone  -\n`)
  expect(tone.bad(hostile)).not.toContain('\u001b[2J')
})

it('JSON escapes it, and keeps it', () => {
  printRows([{ host: hostile }], [], { json: true, none: 'none' })
  expect(printed).not.toContain('\u001b')
  expect(JSON.parse(printed)).toEqual([{ host: hostile }])
})

it('nor in a sentence, which may have a tone', () => {
  printLine(hostile)
  printLine(hostile, tone.bad)
  expect(printed).toContain(`${harmless}\n`)
  expect(printed.match(unwanted)).toEqual(null)
})

it('nor in a message', () => {
  let told = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    told += text
    return true
  })
  log.warning(hostile, hostile)
  log.error(new PgarchError('refused', hostile, { hint: hostile }))
  log.error(new Error(hostile))
  expect(told).toContain(
    `pgarch: WARNING:  ${harmless}\npgarch: HINT:  ${harmless}\n` +
      `pgarch: ERROR:  ${harmless}\npgarch: HINT:  ${harmless}\n` +
      'pgarch: ERROR:  bug in pgarch: Error: a [2Jb 1Ac',
  )
  expect(told).toMatch(/\n +at /)
  expect(told.match(unwanted)).toEqual(null)
})

it('columns stand below one another, whatever is in them, in colour too', () => {
  const { level } = chalk
  chalk.level = 1
  onTestFinished(() => {
    chalk.level = level
  })
  const rows = ['a', '东京', 'e\u0301', '🙂'].map((name, number) => ({ name, number: 9 + number }))
  printRows(
    rows,
    [
      { title: 'name', value: ({ name }) => (name === 'a' ? tone.bad(name) : name) },
      { title: 'number', value: ({ number }) => number, align: 'right' },
      { title: 'end', value: () => null },
    ],
    { none: 'none' },
  )
  expect(stripVTControlCharacters(printed)).toBe(
    'name  number  end\na          9  -\n东京      10  -\ne\u0301         11  -\n🙂        12  -\n',
  )
})

it('a table of 100,000 rows ends', () => {
  const rows = Array.from({ length: 100_000 }, (_, number) => ({ number }))
  printRows(rows, [{ title: 'number', value: ({ number }) => number }], { none: 'none' })
  expect(printed.split('\n')).toHaveLength(100_002)
})

function literal(text: string): string {
  return text.replaceAll('[', '\\[')
}
