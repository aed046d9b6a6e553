import { plain } from '../plain.ts'
import { type Finding, type Severity, worstFirst, worstOf } from './finding.ts'
import {
  type Checked,
  judge,
  type Measure,
  type Thresholds,
  withThresholds,
  withUnread,
} from './measure.ts'
import { formatRange, type Range } from './range.ts'

/** So many findings are told on the first line, and below it: Nagios keeps 8 kB, and a pager less. */
const most = { firstLine: 3, below: 40 }

/** Characters of each, whoever sent them. */
const longest = 500

export interface PluginResult {
  readonly severity: Severity
  readonly lines: readonly string[]
}

/**
 * What a check found, as the Monitoring Plugins guidelines want it told: state and performance data on
 * the first line, then what is wrong, worst first.
 *
 * @param options.verbose what is well is told too
 */
export function pluginResult(
  { findings, measures }: Checked,
  thresholds: Thresholds,
  options: { readonly verbose: boolean },
): PluginResult {
  const wanted = withUnread(measures, thresholds)
  const measured = wanted.map((measure) => withThresholds(measure, thresholds))
  const all = withoutRepetitions(worstFirst([...findings, ...measured.map(judge)]))
  const severity = worstOf(all)
  const wrong = all.filter((finding) => finding.severity !== 'ok')
  const data = measured.map(performanceDatum).join(' ')
  const first = pluginLine(severity, headline(wrong, all))
  return {
    severity,
    lines: [data === '' ? first : `${first} | ${data}`, ...below(options.verbose ? all : wrong)],
  }
}

/** What a finding and a measure, or two measures, say alike is said once, as the worst of them. */
function withoutRepetitions(findings: readonly Finding[]): Finding[] {
  const said = new Set<string>()
  return findings.filter((finding) => {
    const text = sentence(finding)
    return !said.has(text) && said.add(text)
  })
}

/** The first line, without performance data. */
export function pluginLine(severity: Severity, text: string): string {
  return `PGARCH ${severity.toUpperCase()}: ${harmless(text)}`
}

function headline(wrong: readonly Finding[], all: readonly Finding[]): string {
  if (all.length === 0) return 'nothing was looked at'
  const told = wrong.length === 0 ? all.slice(0, 1) : wrong.slice(0, most.firstLine)
  const more = wrong.length > told.length ? [`${wrong.length - told.length} more`] : []
  // Nagios makes a colon of every semicolon.
  return [...told.map(sentence), ...more].join(' -- ')
}

function below(findings: readonly Finding[]): string[] {
  const left = findings.length - most.below
  return [
    ...findings.slice(0, most.below).flatMap((finding) => {
      const line = `${finding.severity.toUpperCase()}: ${sentence(finding)}`
      return finding.hint === undefined ? [line] : [line, `HINT: ${brief(finding.hint)}`]
    }),
    ...(left > 0 ? [`${left} more`] : []),
  ].map(harmless)
}

function sentence({ about, text }: Finding): string {
  return brief(about === '' ? text : `${about}: ${text}`)
}

function brief(text: string): string {
  if (text.length <= longest) return text
  // Not in the middle of what takes two of JavaScript's characters.
  return `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}..`
}

/** On any line a `|` begins performance data. */
function harmless(text: string): string {
  return plain(text).replaceAll('|', '/')
}

/** `'label'=value[UOM];[warn];[crit];[min];[max]`, without what is empty at the end. */
function performanceDatum(measure: Measure): string {
  const { name, of, value, unit, warning, critical, min, max } = measure
  const text = of === undefined ? name : `${of}.${name}`
  const label = /^[\w.:/-]+$/.test(text) ? text : `'${harmless(text).replace(/[=']/g, '_')}'`
  const known = Number.isNaN(value) ? 'U' : `${decimal(value)}${unit}`
  const fields = [known, range(warning), range(critical), optional(min), optional(max)]
  return `${label}=${fields.join(';').replace(/;+$/, '')}`
}

function range(one: Range | undefined): string {
  return one === undefined ? '' : formatRange(one)
}

function optional(value: number | undefined): string {
  return value === undefined ? '' : decimal(value)
}

/** Of digits alone, as no exponent is allowed. */
function decimal(value: number): string {
  return value.toFixed(3).replace(/\.?0+$/, '')
}
