/** A range as the Monitoring Plugins guidelines have it; ends belong to it, and may be infinite. */
export interface Range {
  readonly start: number
  readonly end: number
  /** Written with `@`: a value within it alerts, and not one outside. */
  readonly alertsInside: boolean
}

const number = String.raw`-?\d+(?:\.\d+)?`
const written = new RegExp(`^(@?)(?:(~|${number})?(:))?(${number})?$`)

/**
 * `10`: alerts below 0 and above 10; `10:` below 10; `~:10` above 10; `10:20` outside; `@10:20` inside.
 * Throws an Error that says what was expected.
 */
export function parseRange(text: string): Range {
  const [, at, start, colon, end] = written.exec(text) ?? []
  if (start === undefined && end === undefined) {
    throw new Error(
      `"${text}" is not a range: expected something like 10, 10:, ~:10, 10:20 or @10:20`,
    )
  }
  const range = {
    start: start === '~' ? Number.NEGATIVE_INFINITY : Number(start ?? 0),
    end: end === undefined ? Number.POSITIVE_INFINITY : Number(end),
    alertsInside: at === '@',
  }
  if (range.start <= range.end) return range
  const missing = colon === undefined ? ', as what is before a missing colon is 0' : ''
  throw new Error(`range "${text}" ends before it starts${missing}`)
}

/** The shortest text that reads as this range. */
export function formatRange({ start, end, alertsInside }: Range): string {
  const at = alertsInside ? '@' : ''
  const last = end === Number.POSITIVE_INFINITY ? '' : String(end)
  if (start === 0 && last !== '') return `${at}${last}`
  return `${at}${start === Number.NEGATIVE_INFINITY ? '~' : start}:${last}`
}

export function alerts({ start, end, alertsInside }: Range, value: number): boolean {
  return (value >= start && value <= end) === alertsInside
}
