import { counted, prettySize, prettyTime } from '../amounts.ts'
import { freeNow, type PathHealth } from '../schedule/health.ts'
import type { Finding } from './finding.ts'
import { type Checked, judge, type Measure } from './measure.ts'
import { parseRange } from './range.ts'

/** Names of a path's measures, the main one first. */
export const pathMeasures = ['used', 'free', 'files', 'stored', 'failing_clusters'] as const

/** A path that was not tried for longer may be well by now; milliseconds. */
export const fresh = 86_400_000

/** What is known of a path: by the tries of all clusters, and by whoever looked at it last. */
export function checkPath(path: PathHealth): Checked {
  const about = `path "${path.name}"`
  const { files, storedBytes, failingClusters, sizeBytes, lostTime } = path
  const free = freeNow(path)
  const space = spaceOf(path)
  const findings = [place(path), wrong(path), full(path)].filter((found) => found !== undefined)
  const common = { about, text: space, min: 0 }
  const measures: Measure[] = [
    { ...common, name: 'files', value: files, unit: '' },
    { ...common, name: 'stored', value: storedBytes, unit: 'B' },
    {
      ...{ about, text: counted(failingClusters, 'failing cluster'), min: 0 },
      ...{ name: 'failing_clusters', value: failingClusters, unit: '' },
    },
  ]
  if (free !== undefined) {
    const max = sizeBytes === null ? {} : { max: sizeBytes }
    measures.unshift({ ...common, name: 'free', value: free, unit: 'B', ...max })
  }
  const used = usedShare(path)
  if (used !== undefined && lostTime === null) {
    measures.unshift({
      ...{ ...common, name: 'used', value: used * 100, unit: '%', max: 100 },
      ...(path.active && { warning: parseRange('90'), critical: parseRange('95') }),
      hint: 'Give it room, or let another path take the files: see docs/monitoring.md.',
    })
  }
  return { findings: findings.map((found) => ({ about, ...found })), measures }
}

/** All that needs attention, as findings; what is well, too. */
export function pathFindings(path: PathHealth): Finding[] {
  const { findings, measures } = checkPath(path)
  return [...findings, ...measures.map(judge)]
}

/** Of its file system, or of what it is meant to hold, whichever is nearer its end; 1 is all. */
export function usedShare(path: PathHealth): number | undefined {
  const { sizeBytes, storedBytes, capacityBytes } = path
  const free = freeNow(path)
  const shares = [
    free !== undefined && sizeBytes ? 1 - free / sizeBytes : undefined,
    capacityBytes ? storedBytes / capacityBytes : undefined,
  ].filter((share) => share !== undefined)
  return shares.length === 0 ? undefined : Math.max(...shares)
}

/** What was learnt last: that a file was stored, that one was not, or what somebody found. */
export function pathTrouble(path: PathHealth): { since: Date; error: string | null } | undefined {
  const { lastStoredTime, lastFailureTime, lastError, probeTime, probeError, active } = path
  const latest = Math.max(
    ...[lastStoredTime, lastFailureTime, probeTime].map((time) => time?.getTime() ?? 0),
  )
  if (probeTime !== null && probeTime.getTime() === latest) {
    return probeError === null ? undefined : { since: probeTime, error: probeError }
  }
  // Tries from before it was disabled say nothing of it.
  if (!active || lastFailureTime === null || lastFailureTime.getTime() !== latest) return undefined
  if (lastStoredTime?.getTime() === latest) return undefined
  return { since: lastFailureTime, error: lastError }
}

type Found = Omit<Finding, 'about'>

function place(path: PathHealth): Found {
  const { active, lostTime, clusters, lastStoredTime } = path
  if (lostTime !== null) {
    return { severity: 'ok', text: `declared lost at ${prettyTime(lostTime)}` }
  }
  const stored =
    lastStoredTime === null ? 'nothing was' : `the last file was ${prettyTime(lastStoredTime)}`
  const state = active ? '' : 'disabled, '
  const users = counted(clusters, 'cluster')
  return { severity: 'ok', text: `${state}in the route of ${users}, ${stored} stored there` }
}

function wrong(path: PathHealth): Found | undefined {
  if (path.lostTime !== null) return undefined
  const trouble = pathTrouble(path)
  if (trouble !== undefined) {
    const reason = withoutPath(trouble.error, path.name)
    const at = prettyTime(trouble.since)
    if (path.asOf.getTime() - trouble.since.getTime() > fresh) {
      const text = `could not be used at ${at}, and nobody has tried since: ${reason}`
      const hint = `"pgarch path test ${path.name}" looks whether it is well again, and so does a check with --probe.`
      return { severity: 'warning', text, hint }
    }
    const hint = `"pgarch path test ${path.name}" tells more, and whether it is well again.`
    return { severity: 'critical', text: `cannot be used, as of ${at}: ${reason}`, hint }
  }
  const { failingClusters: failing, clusters, lastError, active } = path
  if (failing === 0 || !active) return undefined
  const look = 'Look at the network between, and at the SSH key on their hosts.'
  const [who, hint] =
    failing < clusters
      ? [`${failing} of ${clusters} clusters`, `Others can. ${look}`]
      : [counted(failing, 'cluster'), look]
  const text = `${who} cannot use it: ${withoutPath(lastError, path.name)}`
  return { severity: 'warning', text, hint }
}

/** Messages begin with the path that they are of, which is said already. */
export function withoutPath(error: string | null, name: string): string {
  return (error ?? 'nobody knows why').replace(`path "${name}": `, '')
}

/** A push passes it over then. */
function full(path: PathHealth): Found | undefined {
  const { reserveBytes, active, lostTime } = path
  const free = freeNow(path)
  // One that takes no files may be as full as it is.
  if (!active || lostTime !== null || free === undefined || free >= reserveBytes) return undefined
  const text = `${prettySize(free)} are free, less than its reserve of ${prettySize(reserveBytes)}`
  const hint = 'No file goes there until there is more. "pgarch path test" looks how much there is.'
  return { severity: 'critical', text, hint }
}

function spaceOf(path: PathHealth): string {
  const { files, storedBytes, capacityBytes, sizeBytes, spaceTime } = path
  const free = freeNow(path)
  const texts = [`holds ${counted(files, 'file')} of ${prettySize(storedBytes)}`]
  if (capacityBytes !== null) texts.push(`is to hold ${prettySize(capacityBytes)}`)
  if (free !== undefined) {
    const told = `as it told at ${prettyTime(spaceTime)}`
    const since = path.storedSince ? `${told}, and by what was stored since` : told
    texts.push(`${prettySize(free)} of ${prettySize(sizeBytes)} are free, ${since}`)
  }
  return texts.join('; ')
}
