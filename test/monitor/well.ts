import type { PathHealth } from '../../src/schedule/health.ts'
import type { ClusterStatus } from '../../src/schedule/status.ts'

type OfCluster = Omit<
  ClusterStatus,
  | 'fingerprint'
  | 'name'
  | 'createTime'
  | 'route'
  | 'lastWalName'
  | 'lastArchivedTime'
  | 'archiveTimeoutSeconds'
  | 'members'
  | 'asOf'
>

/** What is told of every cluster that archives as it should. */
export const wellCluster: OfCluster = {
  active: true,
  switch: 'start',
  switchReason: null,
  switchAuthor: null,
  switchTime: null,
  activePaths: 1,
  failures: 0,
  lastFailureTime: null,
  lastError: null,
  openConflicts: 0,
  droppedFiles: 0,
  lastDropTime: null,
  lostFiles: 0,
  lostFilesAreCounted: true,
  lostTime: null,
  localFiles: 0,
  localTime: null,
  walSegmentSize: 16 * 1024 * 1024,
  shipping: null,
  cleanups: [],
  hosts: 1,
  hostsSeen: 1,
}

type OfPath = Omit<
  PathHealth,
  | 'clusters'
  | 'files'
  | 'storedBytes'
  | 'capacityBytes'
  | 'reserveBytes'
  | 'lastStoredTime'
  | 'asOf'
>

/** What is told of every path that works, and that nobody has looked at. */
export const wellPath: OfPath = {
  id: 1,
  name: 'berlin',
  kind: 'sftp',
  active: true,
  lostTime: null,
  lastFailureTime: null,
  lastError: null,
  failingClusters: 0,
  probeTime: null,
  probeError: null,
  freeBytes: null,
  sizeBytes: null,
  spaceTime: null,
  storedSince: null,
}
