import { fullnessOf, type PathFigures } from '../../src/report/outlook.ts'
import { type Report, summarize } from '../../src/report/report.ts'
import type { DayVolume } from '../../src/schedule/report.ts'

/** What a host may have sent: markup, steering characters, and no place to break. */
export const hostile =
  '<script>alert("1")</script>&amp;|`*_[x](http://x.example)\u001b[2J\u202e\r\n# www.x.example'

const time = new Date('2026-11-21T12:00:00Z')
const gigabyte = 1024 ** 3

/** Of `days` days, with something in each part; `hosts` are named as the argument says. */
export function sampleReport({
  days: length = 8,
  word = 'no answer',
  name = 'berlin',
  walName = '000000010000000000000001.00000028.backup',
}: {
  days?: number
  word?: string
  name?: string
  walName?: string
} = {}): Report {
  const days: DayVolume[] = Array.from({ length }, (_, index) => ({
    day: new Date(time.getTime() - (length - 1 - index) * 86_400_000).toISOString().slice(0, 10),
    files: 1000 * index,
    walBytes: 16_000 * gigabyte * index,
    storedBytes: gigabyte * index,
    failures: index % 3,
  }))
  const figures: PathFigures = {
    id: 1,
    name,
    kind: 'sftp',
    active: true,
    lostTime: null,
    clusters: 10_000,
    files: 123_456_789,
    storedBytes: 950 * gigabyte,
    capacityBytes: 1000 * gigabyte,
    reserveBytes: 0,
    lastStoredTime: time,
    lastFailureTime: time,
    lastError: word,
    failingClusters: 1,
    probeTime: time,
    probeError: word,
    freeBytes: 90 * gigabyte,
    sizeBytes: 1000 * gigabyte,
    spaceTime: time,
    storedSince: 0,
    asOf: time,
    archivedFiles: 1000,
    failures: 7,
    growth: { days: 30, bytes: 30 * gigabyte },
  }
  const unseen = {
    probeTime: null,
    probeError: null,
    freeBytes: null,
    sizeBytes: null,
    spaceTime: null,
  }
  const paths = [
    figures,
    { ...figures, ...unseen, name: 'madrid', storedBytes: 100 * gigabyte },
    { ...figures, name: 'paris', active: false, failures: 0 },
    { ...figures, ...unseen, name: 'rome', capacityBytes: null },
  ].map((path) => ({ ...path, ...fullnessOf(path) }))
  const counts = { clusters: { start: 10_000, pause: 1, stop: 0 }, retiredClusters: 2 }
  return {
    version: 1,
    time,
    since: days[0]?.day ?? '',
    until: days.at(-1)?.day ?? '',
    summary: summarize(counts, days, paths),
    days,
    paths,
    clusterFailures: {
      total: 25,
      entries: [
        {
          cluster: name,
          path: name,
          failures: 7,
          failuresNow: 7,
          lastFailureTime: time,
          lastError: word,
        },
      ],
    },
    localArchives: {
      total: 1,
      entries: [{ cluster: name, host: word, files: 5, storedBytes: 10, oldestTime: time }],
    },
    conflicts: {
      total: 1,
      entries: [
        {
          cluster: name,
          walName: '000000010000000000000001.partial',
          path: null,
          host: word,
          times: 3,
          firstSeen: time,
          lastSeen: time,
        },
      ],
    },
    slowest: [
      {
        cluster: name,
        path: name,
        files: 1000,
        averageMilliseconds: 1234,
        longestMilliseconds: 56_789,
      },
    ],
    oldest: [
      {
        cluster: name,
        walName,
        time,
        archiveTimeoutSeconds: 0,
      },
      { cluster: 'new', walName: null, time: null, archiveTimeoutSeconds: 60 },
    ],
  }
}
