import { prettyTime } from '../amounts.ts'
import type { Report } from './report.ts'

/** What it is of; ASCII, and short enough for a line of a mail with "pgarch report, " before it. */
export function headline({ since, until, time }: Report): string {
  return `${since} to ${until} UTC, made ${prettyTime(time)}`
}
