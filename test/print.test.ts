import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { printFields, printRows, tone } from '../src/print.ts'

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

function literal(text: string): string {
  return text.replaceAll('[', '\\[')
}
