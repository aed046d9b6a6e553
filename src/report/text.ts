import { plain } from '../plain.ts'
import { headline } from './headline.ts'
import type { Report } from './report.ts'
import type { Section } from './section.ts'
import { sectionsOf } from './sections.ts'
import { fitColumns, pad, wrap } from './text-columns.ts'

/** What a mail should keep to is 78 (RFC 5322, section 2.1.1); two are left for who quotes it. */
const lineWidth = 76

/** ASCII but for what hosts and servers sent, and never wider than a mail. */
export function reportAsText(report: Report): string {
  return [`pgarch report, ${headline(report)}\n`, ...sectionsOf(report).map(sectionAsText)].join(
    '\n',
  )
}

function sectionAsText({ id, title, columns, rows, none, notes }: Section): string {
  const heading = [title, '-'.repeat(title.length)]
  const texts = rows.map((row) => row.map(plain))
  // Its columns speak for themselves.
  const head = id === 'summary' ? [] : [columns.map((column) => column.title)]
  const body = rows.length === 0 ? [none] : tableLines([...head, ...texts], columns)
  const below = notes.flatMap((note) => wrap(plain(note), lineWidth))
  return [...heading, ...body, ...below, ''].join('\n')
}

/** A cell that is too wide for its column goes on in the next line. */
function tableLines(rows: readonly (readonly string[])[], columns: Section['columns']): string[] {
  const widths = fitColumns(rows, lineWidth)
  return rows.flatMap((row) => {
    const cells = row.map((text, index) => wrap(text, widths[index] ?? 1))
    const height = Math.max(...cells.map(({ length }) => length))
    return Array.from({ length: height }, (_, line) =>
      cells
        .map((cell, index) => pad(cell[line] ?? '', widths[index] ?? 1, columns[index]?.align))
        .join('  ')
        .trimEnd(),
    )
  })
}
