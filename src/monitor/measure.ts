import { PgarchError } from '../errors.ts'
import type { Finding } from './finding.ts'
import { alerts, parseRange, type Range } from './range.ts'

/** A number that was read, and from where on it is bad. */
export interface Measure {
  /** That -w and -c name: `ready_age`. */
  readonly name: string
  /** Whose it is, where one check has several of this name: before the name in the label. */
  readonly of?: string
  readonly value: number
  /** Of performance data: seconds, percent, bytes, a counter that only grows, or things. */
  readonly unit: 's' | '%' | 'B' | 'c' | ''
  /** As in a finding: what is said when it is bad. */
  readonly about: string
  readonly text: string
  readonly hint?: string
  /** When nobody sets another. */
  readonly warning?: Range
  readonly critical?: Range
  readonly min?: number
  readonly max?: number
}

/** What a check looked at. Whatever it could not look at is a finding, and unknown. */
export interface Checked {
  /** Of those that are ok, the first one is told when all is well. */
  readonly findings: readonly Finding[]
  readonly measures: readonly Measure[]
}

/** By the measures' names. */
export interface Thresholds {
  readonly warning: ReadonlyMap<string, Range>
  readonly critical: ReadonlyMap<string, Range>
}

/**
 * Of one option's values, `RANGE` or `MEASURE=RANGE`; the last one counts. `usage` when one cannot be
 * understood, or names no measure.
 *
 * @param option for messages: `--warning`
 * @param names of the measures that this kind of check has; a range alone is for the first
 */
export function parseThresholds(
  option: string,
  given: readonly string[],
  names: readonly string[],
): ReadonlyMap<string, Range> {
  const ranges = new Map<string, Range>()
  for (const text of given) {
    const [, named, range = text] = /^([^=]*)=(.*)$/.exec(text) ?? []
    const name = named ?? names[0] ?? ''
    if (!names.includes(name)) {
      throw new PgarchError('usage', `${option} "${text}": this check has no measure "${name}"`, {
        hint: `It has ${names.join(', ')}.`,
      })
    }
    try {
      ranges.set(name, parseRange(range))
    } catch (error) {
      throw new PgarchError('usage', `invalid value for ${option}: ${(error as Error).message}`)
    }
  }
  return ranges
}

/** With the ranges that count for it. */
export function withThresholds(measure: Measure, { warning, critical }: Thresholds): Measure {
  const set = { warning: warning.get(measure.name), critical: critical.get(measure.name) }
  return {
    ...measure,
    ...(set.warning && { warning: set.warning }),
    ...(set.critical && { critical: set.critical }),
  }
}

/** With those that a range was given for, and that nothing was read of: a check cannot judge them. */
export function withUnread(
  measures: readonly Measure[],
  { warning, critical }: Thresholds,
): readonly Measure[] {
  const unread = new Set([...warning.keys(), ...critical.keys()])
  for (const { name } of measures) unread.delete(name)
  const hint = 'Take its range away, or see docs/monitoring.md for what it takes to know it.'
  return [
    ...measures,
    ...[...unread].map((name): Measure => {
      const text = `"${name}", which has a range, could not be read`
      return { name, value: Number.NaN, unit: '', about: '', text, hint }
    }),
  ]
}

/** What the value means. One that is not a number was not read, whatever the ranges say. */
export function judge({ value, warning, critical, about, text, hint }: Measure): Finding {
  const told = { about, text, ...(hint !== undefined && { hint }) }
  if (Number.isNaN(value)) return { severity: 'unknown', ...told }
  if (critical !== undefined && alerts(critical, value)) return { severity: 'critical', ...told }
  if (warning !== undefined && alerts(warning, value)) return { severity: 'warning', ...told }
  return { severity: 'ok', about, text }
}
