import { stripVTControlCharacters } from 'node:util'
import chalk from 'chalk'
import { plain } from './plain.ts'

export { prettySize, prettyTime } from './amounts.ts'

/** One column of a table for people. */
export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string | number | null | undefined
  readonly align?: 'left' | 'right'
}

/** What a listing prints: rows as JSON, one array, for programs; or a table for people. */
export function printRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: { json?: boolean | undefined; none: string },
): void {
  if (options.json) printJson(rows)
  else printLines(rowLines(rows, columns, options.none))
}

/** A table for people, or what is said when there are no rows. */
export function rowLines<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  none: string,
): string[] {
  return rows.length === 0 ? [plain(none)] : layOut(rows.map(withPlainTexts), columns)
}

/** One thing's properties, a line each; or as one JSON object. */
export function printFields(fields: Readonly<Record<string, unknown>>, json?: boolean): void {
  if (json) printJson(fields)
  else printLines(fieldLines(fields))
}

export function fieldLines(fields: Readonly<Record<string, unknown>>): string[] {
  const width = Math.max(...Object.keys(fields).map((name) => name.length))
  return Object.entries(fields).map(
    ([name, value]) => `${chalk.bold(name.padEnd(width))}  ${plain(String(value ?? '-'))}`,
  )
}

export function printJson(value: unknown): void {
  write(JSON.stringify(value, null, 2))
}

/** A sentence for people, in a tone if there is something to be said by it. */
export function printLine(line = '', as: (text: string) => string = plain): void {
  write(as(line))
}

/** Lines that are laid out already, and hold nothing that was sent by others. */
export function printLines(lines: readonly string[]): void {
  write(lines.join('\n'))
}

/** In place of what a terminal shows, and no more than it can; elsewhere after what was printed. */
export function printScreen(lines: readonly string[]): void {
  const { isTTY, rows = 24, columns = 80 } = process.stdout
  if (!isTTY) {
    printLines(lines)
    return
  }
  let left = rows - 1
  const shown = lines.filter((line) => {
    left -= Math.max(Math.ceil(stripVTControlCharacters(line).length / columns), 1)
    return left > 0
  })
  const more = lines.length - shown.length
  write(`\x1b[2J\x1b[H${[...shown, ...(more > 0 ? [`${more} more lines`] : [])].join('\n')}`)
}

function write(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Good, doubtful and bad, for a cell's text; plain where standard output is no terminal. */
export const tone = {
  good: (text: string) => chalk.green(plain(text)),
  doubtful: (text: string) => chalk.yellow(plain(text)),
  bad: (text: string) => chalk.red(plain(text)),
}

/** The same in all that a row holds, before its columns are made and given colours. */
function withPlainTexts<Value>(value: Value): Value {
  if (typeof value === 'string') return plain(value) as Value
  if (Array.isArray(value)) return value.map(withPlainTexts) as Value
  if (!isPlainObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, withPlainTexts(one)]),
  ) as Value
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value?.constructor === Object
}

function layOut<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  const head = columns.map(({ title }) => chalk.bold(title))
  const cells = rows.map((row) => columns.map(({ value }) => String(value(row) ?? '-')))
  const lines = [head, ...cells].map((line) => line.map((text) => ({ text, width: widthOf(text) })))
  const widths = columns.map((_, index) =>
    lines.reduce((most, line) => Math.max(most, line[index]?.width ?? 0), 0),
  )
  return lines.map((line) =>
    line
      .map(({ text, width }, index) => {
        const space = ' '.repeat((widths[index] ?? 0) - width)
        return columns[index]?.align === 'right' ? space + text : text + space
      })
      .join('  ')
      .trimEnd(),
  )
}

/** In a terminal's columns: without colours, and an ideograph or an emoji takes two. */
function widthOf(text: string): number {
  const bare = stripVTControlCharacters(text)
  return /^[ -~]*$/.test(bare)
    ? bare.length
    : [...bare.replaceAll(marks, '').replaceAll(wide, '--')].length
}

const marks = /\p{Mark}/gu
const wide =
  /\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hangul}|\p{Script=Hiragana}|\p{Script=Katakana}|[\u3000-\u303e\uff01-\uff60]/gu
