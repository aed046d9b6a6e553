import { counted, prettySize, prettySpan, prettyTime } from '../amounts.ts'
import { earliest } from '../earliest.ts'
import type { CachedRoute } from '../schedule/cached-route.ts'
import type { Finding } from './finding.ts'
import type { HostArchiving } from './host-archiving.ts'
import type { Checked } from './measure.ts'
import { parseRange } from './range.ts'
import type { WalSpace } from './wal-space.ts'

/** Names of a host's measures, the main one first. */
export const hostMeasures = [
  'ready_age',
  'ready_files',
  'local_files',
  'journal_age',
  'journal_records',
  'pg_wal_used',
  'pg_wal_free',
] as const

/** Whose findings they are. */
export interface Subject {
  /** As in a finding. */
  readonly about: string
  /** As in a measure; undefined where there is only one of them. */
  readonly of: string | undefined
}

export function archivingFindings(
  { about, of }: Subject,
  { ready, failure, route }: HostArchiving,
  now: Date,
): Checked {
  const age = ready.oldest === undefined ? 0 : Math.max(now.getTime() - ready.oldest.getTime(), 0)
  const waiting =
    ready.count === 0
      ? 'nothing waits to be archived'
      : `${counted(ready.count, 'file waits', 'files wait')} to be archived, the oldest for ${prettySpan(age)}`
  const findings: Finding[] = [{ severity: 'ok', about, text: waiting }]
  const switched = route === undefined ? undefined : switchFinding(about, route)
  if (switched !== undefined) findings.push(switched)
  // Of a cluster that is paused every push fails, which is what was asked for.
  else if (failure !== undefined) {
    findings.push({
      severity: 'critical',
      about,
      text: `${failure.walName} could not be archived at ${prettyTime(failure.time)}: ${failure.reason}`,
      ...(failure.hint !== null && { hint: failure.hint }),
    })
  }
  const common = { about, text: waiting, min: 0, ...(of !== undefined && { of }) }
  return {
    findings,
    measures: [
      {
        ...{ ...common, name: 'ready_age', value: age / 1000, unit: 's' },
        ...{ warning: parseRange('300'), critical: parseRange('900') },
        hint: "PostgreSQL keeps them in pg_wal, which grows. The server's log tells what pgarch said.",
      },
      { ...common, name: 'ready_files', value: ready.count, unit: '' },
    ],
  }
}

/** By the route as it was when the scheduling database last told it. */
function switchFinding(about: string, { route, readTime }: CachedRoute): Finding | undefined {
  const { switch: position, switchReason, switchAuthor } = route
  if (position === 'start') return undefined
  const who = [switchAuthor, switchReason].filter((one) => one !== null).join(': ')
  const because = [who, `read at ${prettyTime(readTime)}`].filter((one) => one !== '').join('; ')
  const hint = `Run "pgarch cluster start ${route.clusterName}" to go on. Where that was done, the next push reads it.`
  return position === 'stop'
    ? { severity: 'critical', about, text: `stopped, WAL is dropped (${because})`, hint }
    : { severity: 'warning', about, text: `paused, WAL waits in pg_wal (${because})`, hint }
}

/** That it runs, or why it does not. */
type Worker = { readonly pid: number | null; readonly since: Date | null } | { absence: string }

/** What the scheduling database has not taken yet. */
export interface Journal {
  /** In records. */
  readonly length: number
  readonly oldest: Date | null
  readonly ofOthers: number
}

export function journalFindings(
  { about, of }: Subject,
  { length, oldest, ofOthers }: Journal,
  now: Date,
): Checked {
  const age = oldest === null ? 0 : Math.max(now.getTime() - oldest.getTime(), 0)
  const text =
    length === 0
      ? 'the journal is empty'
      : `${counted(length, 'record waits', 'records wait')} in the journal for the scheduling database, the oldest for ${prettySpan(age)}`
  const common = { about, text, min: 0, ...(of !== undefined && { of }) }
  const foreign: Finding = {
    severity: 'warning',
    about,
    text: `${counted(ofOthers, 'record', 'records')} in the journal of a cluster that this data directory no longer belongs to`,
    hint: 'The files that they tell of are on the paths: "pgarch schedule rebuild" records them. See docs/scheduling-database.md.',
  }
  return {
    findings: ofOthers > 0 ? [foreign] : [],
    measures: [
      {
        ...{ ...common, name: 'journal_age', value: age / 1000, unit: 's' },
        warning: parseRange('300'),
        hint: 'Archiving goes on meanwhile. "pgarch journal flush" tells why they are not taken.',
      },
      { ...common, name: 'journal_records', value: length, unit: '' },
    ],
  }
}

/** @param stored when each file was put there */
export function localArchiveFindings({ about, of }: Subject, stored: readonly Date[]): Checked {
  const files = stored.length
  const text =
    files === 0
      ? 'nothing lies in the local archive'
      : `${counted(files, 'file is', 'files are')} in the local archive alone, since ${prettyTime(earliest(stored))}`
  const hint =
    'Mend a path. The next pushes bring them there; "pgarch local drain" does it at once.'
  return {
    findings: files === 0 ? [] : [{ severity: 'warning', about, text, hint }],
    measures: [
      {
        ...{ about, text, hint, min: 0, ...(of !== undefined && { of }) },
        ...{ name: 'local_files', value: files, unit: '' },
      },
    ],
  }
}

export function walSpaceFindings({ about, of }: Subject, { free, total }: WalSpace): Checked {
  const used = total === 0 ? 100 : (1 - free / total) * 100
  const text = `${prettySize(free)} of ${prettySize(total)} are free where pg_wal lies`
  const common = { about, text, min: 0, ...(of !== undefined && { of }) }
  return {
    findings: [],
    measures: [
      {
        ...{ ...common, name: 'pg_wal_used', value: used, unit: '%', max: 100 },
        ...{ warning: parseRange('90'), critical: parseRange('95') },
        hint: 'Without room for WAL the server stops with a PANIC.',
      },
      { ...common, name: 'pg_wal_free', value: free, unit: 'B', max: total },
    ],
  }
}

/** That none runs is no harm by itself: what then waits has an age. */
export function workerFinding(about: string, worker: Worker): Finding {
  const text =
    'absence' in worker
      ? `no worker runs: ${worker.absence}`
      : `a worker runs, pid ${worker.pid ?? 'unknown'}, since ${prettyTime(worker.since)}`
  return { severity: 'ok', about, text }
}
