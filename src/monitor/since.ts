/** Milliseconds; infinite since what never was. */
export function since(time: Date | null, asOf: Date): number {
  if (time === null) return Number.POSITIVE_INFINITY
  return Math.max(asOf.getTime() - time.getTime(), 0)
}
