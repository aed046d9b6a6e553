/** A measure as Prometheus knows it: one name, and a sample for every set of labels. */
export interface Family {
  /** Whole, with its unit: base units, such as `_bytes` and `_seconds`; a counter ends in `_total`. */
  readonly name: string
  readonly type: 'gauge' | 'counter'
  /** A sentence. */
  readonly help: string
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  /** A point in time becomes seconds since 1970, true and false 1 and 0; none: nobody knows, no sample. */
  readonly value: number | boolean | Date | null | undefined
}

/** Of what `exposition` returns, for HTTP. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * Prometheus' text format, version 0.0.4, which scrapes and node_exporter's textfile collector read. A
 * family without a sample is left out.
 */
export function exposition(families: readonly Family[]): string {
  return families.map(textOf).join('')
}

function textOf({ name, type, help, samples }: Family): string {
  const lines = samples.flatMap(({ labels = {}, value }) =>
    value === null || value === undefined ? [] : `${name}${labelsOf(labels)} ${numberOf(value)}`,
  )
  if (lines.length === 0) return ''
  return [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n')
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function numberOf(value: number | boolean | Date): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value instanceof Date ? value.getTime() / 1000 : Number(value))
}
