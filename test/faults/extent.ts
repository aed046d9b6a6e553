/** `npm run test:faults` does everything; other runs a part of it, always the same. */
export const isFull = process.env.PGARCH_FAULTS === 'full'

/** All, or some `few` of them at equal distances, with the first and the last. */
export function chosen<Item>(all: readonly Item[], few: number): Item[] {
  if (isFull || all.length <= few) return [...all]
  const distance = (all.length - 1) / Math.max(few - 1, 1)
  return Array.from({ length: few }, (_, index) => all[Math.round(index * distance)] as Item)
}

/** Milliseconds for a test whose rounds are counted by `chosen`. */
export const limit = isFull ? 3_600_000 : 120_000

/** A line for docs/reliability.md. */
export function report(what: string, figures: Readonly<Record<string, number | string>>): void {
  if (!isFull) return
  const words = Object.entries(figures).map(([name, value]) => `${name} ${value}`)
  process.stdout.write(`${what}: ${words.join(', ')}\n`)
}
