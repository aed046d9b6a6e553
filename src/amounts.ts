/** Bytes as PostgreSQL's pg_size_pretty words them, or `-`. */
export function prettySize(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return '-'
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']
  let size = bytes
  let unit = 0
  while (size >= 10_240 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${Math.round(size)} ${units[unit]}`
}

/** A time in the reader's time zone, to the second, with the zone's offset; or `-`. */
export function prettyTime(time: Date | null | undefined): string {
  if (time === null || time === undefined) return '-'
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000)
  const offset = -time.getTimezoneOffset()
  const sign = offset < 0 ? '-' : '+'
  const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0')
  const minutes = String(Math.abs(offset) % 60).padStart(2, '0')
  const zone = minutes === '00' ? `${sign}${hours}` : `${sign}${hours}:${minutes}`
  return local.toISOString().slice(0, 19).replace('T', ' ') + zone
}

/** How long, in the one unit that says enough: `7 s`, `90 min`, `30 h`, `12 d`. */
export function prettySpan(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  const [size, unit] = spans.find(([size]) => seconds >= 2 * size) ?? ([1, 's'] as const)
  return `${Math.floor(seconds / size)} ${unit}`
}

const spans = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
] as const

/** `1 file`, `2 files`. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}
