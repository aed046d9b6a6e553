import chalk from 'chalk'
import Table from 'cli-table3'
import { plain } from './plain.ts'

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
  else if (rows.length === 0) printLine(options.none)
  else write(layOut(rows.map(withPlainTexts), columns))
}

/** One thing's properties, a line each; or as one JSON object. */
export function printFields(fields: Readonly<Record<string, unknown>>, json?: boolean): void {
  if (json) {
    printJson(fields)
    return
  }
  const width = Math.max(...Object.keys(fields).map((name) => name.length))
  for (const [name, value] of Object.entries(fields)) {
    write(`${chalk.bold(name.padEnd(width))}  ${plain(String(value ?? '-'))}`)
  }
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

function layOut<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const table = new Table({
    head: columns.map(({ title }) => chalk.bold(title)),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    chars: plainLines,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  })
  for (const row of rows) table.push(columns.map(({ value }) => String(value(row) ?? '-')))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

const plainLines = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left'],
    ...['bottom-right', 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((part) => [part, '']),
)

/** Bytes as PostgreSQL's pg_size_pretty words them, or `-`. */
export function prettySize(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return '-'
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']
  let size = bytes
  let unit = 0
  while (size >= 10_240 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${Math.round(size)} ${units[unit]}`
}

/** A time in the reader's time zone, to the second, with the zone's offset; or `-`. */
export function prettyTime(time: Date | null | undefined): string {
  if (time === null || time === undefined) return '-'
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000)
  const offset = -time.getTimezoneOffset()
  const sign = offset < 0 ? '-' : '+'
  const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0')
  const minutes = String(Math.abs(offset) % 60).padStart(2, '0')
  const zone = minutes === '00' ? `${sign}${hours}` : `${sign}${hours}:${minutes}`
  return local.toISOString().slice(0, 19).replace('T', ' ') + zone
}
