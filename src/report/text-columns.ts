/** Between two columns. */
const gap = 2

/** No column is made narrower by others. */
const narrowest = 7

/**
 * The width of each column, so that all of them and the gaps between them fit. Where every word can be
 * whole, it is; else the widest columns give way.
 */
export function fitColumns(rows: readonly (readonly string[])[], width: number): number[] {
  const widthsBy = (measure: (text: string) => number) =>
    (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => measure(row[column] ?? ''))))
  const widths = widthsBy(widthOf)
  const words = widthsBy((text) => Math.max(...text.split(' ').map(widthOf)))
  const room = width - gap * (widths.length - 1)
  const least = sum(words) <= room ? words : words.map(() => 0)
  while (sum(widths) > room) {
    // The one that can give way the most, down to what the next one has.
    const [first, second] = widths
      .map((one, column) => ({ column, one, least: Math.max(least[column] ?? 0, narrowest) }))
      .filter((column) => column.one > column.least)
      .toSorted((column, other) => other.one - column.one)
    if (first === undefined) break
    const fitting = first.one - (sum(widths) - room)
    widths[first.column] = Math.max(fitting, (second?.one ?? 0) - 1, first.least)
  }
  return widths
}

function sum(widths: readonly number[]): number {
  return widths.reduce((one, other) => one + other, 0)
}

/** Lines of at most that width; broken at spaces, and within a word that is wider by itself. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    let rest = word
    if (line !== '' && widthOf(line) + 1 + widthOf(rest) <= width) {
      line = `${line} ${rest}`
      continue
    }
    if (line !== '') lines.push(line)
    while (widthOf(rest) > width) {
      const head = headOf(rest, width)
      lines.push(head)
      rest = rest.slice(head.length)
    }
    line = rest
  }
  return [...lines, line]
}

export function pad(text: string, width: number, align?: 'right'): string {
  const space = ' '.repeat(Math.max(width - widthOf(text), 0))
  return align === 'right' ? space + text : text + space
}

/** At least one character, however wide. */
function headOf(text: string, width: number): string {
  let head = ''
  for (const character of text) {
    if (head !== '' && widthOf(head + character) > width) break
    head += character
  }
  return head
}

/** Marks take no place of their own; East Asian characters, and pictures, take two. */
function widthOf(text: string): number {
  let width = 0
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue
    width += wide.test(character) ? 2 : 1
  }
  return width
}

const wide =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u
