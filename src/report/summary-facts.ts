import { prettySize } from '../amounts.ts'
import type { Summary } from './report.ts'

/** What is counted, and in words how much. */
export function summaryFacts(summary: Summary): (readonly [string, string])[] {
  const { clusters, retiredClusters, paths, capacity, archived } = summary
  return [
    [
      'clusters',
      counts([
        [clusters.start, 'archiving'],
        [clusters.pause, 'paused'],
        [clusters.stop, 'stopped'],
        [retiredClusters, 'retired'],
      ]),
    ],
    [
      'paths',
      counts([
        [paths.inUse, 'in use'],
        [paths.disabled, 'disabled'],
        [paths.lost, 'lost'],
      ]),
    ],
    ['capacity', capacityInWords(capacity)],
    ['on paths', `${files(summary.files)}, ${prettySize(summary.storedBytes)}`],
    [
      'archived',
      `${files(archived.files)}, ${prettySize(archived.walBytes)} of WAL, ` +
        `${prettySize(archived.storedBytes)} stored`,
    ],
    ['failed tries', String(archived.failures)],
  ]
}

/** The first one always, the others where there are any. */
function counts(all: readonly (readonly [number, string])[]): string {
  return all
    .filter(([count], index) => index === 0 || count > 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(', ')
}

function capacityInWords({
  bytes,
  usedBytes,
  usedShare,
  unknownPaths,
}: Summary['capacity']): string {
  const unknown =
    unknownPaths === 0 ? '' : `unknown of ${unknownPaths} ${unknownPaths === 1 ? 'path' : 'paths'}`
  if (usedShare === null) return unknown || '-'
  const known = `${prettySize(bytes)}, ${prettySize(usedBytes)} used (${Math.floor(usedShare * 100)} %)`
  return unknown === '' ? known : `${known}; ${unknown}`
}

function files(count: number): string {
  return `${count} ${count === 1 ? 'file' : 'files'}`
}
