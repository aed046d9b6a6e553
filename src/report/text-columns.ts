/** Between two columns. */
const gap = 2

/** No column is made narrower by others. */
const narrowest = 7

/** The width of each column, so that all of them and the gaps between them fit. */
export function fitColumns(rows: readonly (readonly string[])[], width: number): number[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => widthOf(row[column] ?? ''))),
  )
  const room = width - gap * (widths.length - 1)
  const excess = () => widths.reduce((sum, one) => sum + one, 0) - room
  while (excess() > 0) {
    const widest = widths.indexOf(Math.max(...widths))
    const [second = 0] = widths.toSpliced(widest, 1).toSorted((one, other) => other - one)
    const wanted = Math.max((widths[widest] ?? 0) - excess(), second - 1, narrowest)
    if (wanted === widths[widest]) break
    widths[widest] = wanted
  }
  return widths
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
