import { plain } from '../plain.ts'
import { headline } from './headline.ts'
import type { Report } from './report.ts'
import type { Section } from './section.ts'
import { sectionsOf } from './sections.ts'

/** As GitHub and GitLab read it: CommonMark with tables. */
export function reportAsMarkdown(report: Report): string {
  const parts = sectionsOf(report).map(sectionAsMarkdown)
  return [`# pgarch report, ${escaped(headline(report))}`, ...parts].join('\n\n').concat('\n')
}

function sectionAsMarkdown({ title, columns, rows, none, notes }: Section): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const table = [
    line(columns.map((column) => escaped(column.title))),
    line(columns.map(({ align }) => (align === 'right' ? '--:' : '---'))),
    ...rows.map((row) => line(row.map(escaped))),
  ].join('\n')
  const body = rows.length === 0 ? escaped(none) : table
  return [`## ${escaped(title)}`, body, ...notes.map(escaped)].join('\n\n')
}

/**
 * Nothing in it is markup. A backslash takes its meaning from any ASCII punctuation (CommonMark 0.31,
 * section 2.4); what means nothing inside of a line is left readable. Addresses become no links, and
 * what stands at the beginning of a line, no list.
 */
export function escaped(text: string): string {
  return plain(text)
    .replaceAll(/[\\`*_{}[\]<>#|~!&$^@:]/g, '\\$&')
    .replaceAll(/\bwww\./gi, (found) => `${found.slice(0, 3)}\\.`)
    .replaceAll(/^([-+=]|\d+(?=[.)]))/g, (found) =>
      /\d/.test(found) ? `${found}\\` : `\\${found}`,
    )
}
