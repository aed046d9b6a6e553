import { cpus, totalmem } from 'node:os'

/** NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}

/** `12.3 (11.0..14.2)`: median, least and most. */
export function withSpread(values: readonly number[], digits = 1): string {
  const show = (value: number) => value.toFixed(digits)
  return `${show(median(values))} (${show(Math.min(...values))}..${show(Math.max(...values))})`
}

/** What the figures of a run have to be read with. */
export function describeMachine(): string {
  const memory = Math.round(totalmem() / 1024 ** 3)
  return `${cpus().length} x ${cpus()[0]?.model}, ${memory} GB, Node.js ${process.version}`
}
