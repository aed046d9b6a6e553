import { prettySize, prettyTime } from '../amounts.ts'
import { longestList } from '../schedule/report.ts'
import type { Listed } from '../schedule/report-lists.ts'
import type { Outlook, Unknown } from './outlook.ts'
import type { PathReport, Report } from './report.ts'
import { type Section, section } from './section.ts'
import { summaryFacts } from './summary-facts.ts'

/** The report in words, the most general first. */
export function sectionsOf(report: Report): Section[] {
  return [
    summarySection(report),
    daysSection(report),
    pathsSection(report),
    pathFailuresSection(report),
    clusterFailuresSection(report),
    localArchivesSection(report),
    conflictsSection(report),
    slowestSection(report),
    oldestSection(report),
  ]
}

const right = { align: 'right' } as const

function summarySection(report: Report): Section {
  return section({ id: 'summary', title: 'Summary', none: '' }, summaryFacts(report.summary), [
    { title: 'what', value: ([name]) => name },
    { title: 'how much', value: ([, value]) => value },
  ])
}

function daysSection({ days }: Report): Section {
  return section({ id: 'days', title: 'Volume per day', none: '' }, days, [
    { title: 'day (UTC)', value: ({ day }) => day },
    { title: 'files', value: ({ files }) => files, ...right },
    { title: 'WAL', value: ({ walBytes }) => prettySize(walBytes), ...right },
    { title: 'stored', value: ({ storedBytes }) => prettySize(storedBytes), ...right },
    { title: 'failed tries', value: ({ failures }) => failures, ...right },
  ])
}

function pathsSection({ paths }: Report): Section {
  const living = paths.filter(({ lostTime }) => lostTime === null)
  return section(
    { id: 'paths', title: 'Paths', none: 'There are none.' },
    living,
    [
      { title: 'path', value: ({ name }) => name },
      { title: 'clusters', value: ({ clusters }) => clusters, ...right },
      { title: 'files', value: ({ files }) => files, ...right },
      { title: 'used', value: ({ usedBytes }) => prettySize(usedBytes), ...right },
      { title: 'of', value: ({ capacityBytes }) => prettySize(capacityBytes), ...right },
      { title: '%', value: ({ usedShare }) => percent(usedShare), ...right },
      {
        title: 'a day',
        value: ({ growthBytesPerDay: bytes }) =>
          prettySize(bytes === null ? null : Math.round(bytes)),
        ...right,
      },
      { title: 'full', value: ({ outlook }) => outlookInWords(outlook) },
    ],
    living.flatMap(({ name, probeTime, probeError }) =>
      probeError === null
        ? []
        : `Path ${name} was found to be wrong at ${prettyTime(probeTime)}: ${probeError}`,
    ),
  )
}

function pathFailuresSection({ paths }: Report): Section {
  const failed = paths
    .filter(({ failures }) => failures > 0)
    .toSorted((one, other) => other.failures - one.failures)
  return section(
    { id: 'path-failures', title: 'Failures by path', none: 'No try failed.' },
    failed.slice(0, longestList),
    [
      { title: 'path', value: nameWithState },
      { title: 'failed tries', value: ({ failures }) => failures, ...right },
      { title: 'archived files', value: ({ archivedFiles }) => archivedFiles, ...right },
      { title: 'last', value: ({ lastFailureTime }) => prettyTime(lastFailureTime) },
      { title: 'error', value: ({ lastError }) => lastError },
    ],
    more(failed.length),
  )
}

function clusterFailuresSection({ clusterFailures: { total, entries } }: Report): Section {
  return section(
    { id: 'cluster-failures', title: 'Failures by cluster', none: 'No try failed.' },
    entries,
    [
      { title: 'cluster', value: ({ cluster }) => cluster },
      { title: 'path', value: ({ path }) => path },
      { title: 'failed tries', value: ({ failures }) => failures, ...right },
      {
        title: 'now',
        value: ({ failuresNow }) => (failuresNow === 0 ? 'succeeds' : 'fails'),
      },
      { title: 'error', value: ({ lastError }) => lastError },
    ],
    more(total),
  )
}

function localArchivesSection({ localArchives }: Report): Section {
  return listSection(
    { id: 'local-archives', title: 'Local archives', none: 'No file waits in a local archive.' },
    localArchives,
    [
      { title: 'cluster', value: ({ cluster }) => cluster },
      { title: 'host', value: ({ host }) => host },
      { title: 'files', value: ({ files }) => files, ...right },
      { title: 'stored', value: ({ storedBytes }) => prettySize(storedBytes), ...right },
      { title: 'oldest', value: ({ oldestTime }) => prettyTime(oldestTime) },
    ],
  )
}

function conflictsSection({ conflicts }: Report): Section {
  return listSection(
    { id: 'conflicts', title: 'Conflicts', none: 'No conflict is open.' },
    conflicts,
    [
      { title: 'cluster', value: ({ cluster }) => cluster },
      { title: 'file', value: ({ walName }) => walName },
      { title: 'host', value: ({ host }) => host },
      { title: 'times', value: ({ times }) => times, ...right },
      { title: 'since', value: ({ firstSeen }) => prettyTime(firstSeen) },
    ],
  )
}

function slowestSection({ slowest }: Report): Section {
  const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(2)
  return section({ id: 'slowest', title: 'Slowest', none: 'Nothing was archived.' }, slowest, [
    { title: 'cluster', value: ({ cluster }) => cluster },
    { title: 'path', value: ({ path }) => path },
    { title: 'files', value: ({ files }) => files, ...right },
    { title: 's a file', value: (one) => seconds(one.averageMilliseconds), ...right },
    { title: 'longest, s', value: (one) => seconds(one.longestMilliseconds), ...right },
  ])
}

function oldestSection({ oldest }: Report): Section {
  return section(
    { id: 'oldest', title: 'Archived last the longest ago', none: 'No cluster archives.' },
    oldest,
    [
      { title: 'cluster', value: ({ cluster }) => cluster },
      { title: 'last file', value: ({ walName }) => walName },
      { title: 'at', value: ({ time }) => (time === null ? 'never' : prettyTime(time)) },
      {
        title: 'timeout, s',
        value: ({ archiveTimeoutSeconds: limit }) => (limit === 0 ? 'off' : limit),
        ...right,
      },
    ],
  )
}

function listSection<Entry>(
  name: Pick<Section, 'id' | 'title' | 'none'>,
  { total, entries }: Listed<Entry>,
  columns: Parameters<typeof section<Entry>>[2],
): Section {
  return section(name, entries, columns, more(total))
}

function more(total: number): string[] {
  return total > longestList ? [`And ${total - longestList} more.`] : []
}

function nameWithState({ name, active, lostTime }: PathReport): string {
  if (lostTime !== null) return `${name} (lost)`
  return active ? name : `${name} (disabled)`
}

export function percent(share: number | null): string {
  return share === null ? '-' : `${Math.floor(share * 100)}`
}

const unknowns: Readonly<Record<Unknown, string>> = {
  'not-in-use': 'disabled',
  'no-capacity': 'cannot tell: no capacity',
  'few-days': 'cannot tell: too new',
}

export function outlookInWords(outlook: Outlook): string {
  switch (outlook.state) {
    case 'full':
      return 'now'
    case 'fills':
      return outlook.days === 0 ? 'within a day' : outlook.date
    case 'steady':
      return 'not within 10 years'
    case 'unknown':
      return unknowns[outlook.reason]
  }
}
