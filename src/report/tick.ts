/** A round number at or above the greatest value, and the words for shares of it: 0, 0.5 and 1. */
export function topOf(
  most: number,
  unit: 'bytes' | 'count',
): { top: number; label: (share: number) => string } {
  if (unit === 'count') {
    const top = roundUp(most)
    return { top, label: (share) => String(top * share) }
  }
  const power = Math.min(
    Math.max(Math.floor(Math.log2(Math.max(most, 1)) / 10), 0),
    units.length - 1,
  )
  const unitBytes = 1024 ** power
  const number = roundUp(most / unitBytes)
  return {
    top: number * unitBytes,
    label: (share) => (share === 0 ? '0' : `${number * share} ${units[power]}`),
  }
}

const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** To the next even digit times a power of ten; half of it is whole, too. */
function roundUp(value: number): number {
  for (let scale = 1; ; scale *= 10) {
    const found = [2, 4, 6, 8, 10].find((digit) => digit * scale >= value)
    if (found !== undefined) return found * scale
  }
}
