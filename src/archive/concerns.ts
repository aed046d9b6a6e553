import type { ClusterStatus } from '../schedule/status.ts'
import { shippingLag } from './shipping-lag.ts'

/** Shipping that is behind for longer needs attention; milliseconds. */
const longestLag = 60_000

/** What of a cluster needs a person's attention, worst first; empty when all is well. */
export function clusterConcerns(cluster: ClusterStatus, now = new Date()): string[] {
  const { switchAuthor, switchReason, lastError } = cluster
  const reason = [switchAuthor, switchReason].filter((one) => one !== null).join(': ')
  const because = reason === '' ? '' : ` (${reason})`
  const count = (number: number, one: string, many: string) =>
    `${number} ${number === 1 ? one : many}`
  const lag = shippingLag(cluster, now)
  const concerns: (string | false)[] = [
    cluster.openConflicts > 0 && count(cluster.openConflicts, 'conflict', 'conflicts'),
    cluster.switch === 'stop' && `stopped, WAL is dropped${because}`,
    cluster.switch === 'pause' && `paused${because}`,
    !cluster.route.some(({ active }) => active) && 'no active path',
    cluster.failures > 0 &&
      `${count(cluster.failures, 'failed try', 'failed tries')}: ${lastError}`,
    cluster.lostFiles > 0 &&
      `${count(cluster.lostFiles, 'file', 'files')} only on a lost path or host`,
    cluster.localFiles > 0 &&
      `${count(cluster.localFiles, 'file', 'files')} only in a local archive`,
    lag !== undefined &&
      cluster.shipping?.ended === false &&
      lag.milliseconds > longestLag &&
      `shipping is ${lag.bytes} bytes behind`,
    cluster.droppedFiles > 0 && `${count(cluster.droppedFiles, 'file was', 'files were')} dropped`,
  ]
  return concerns.filter((concern) => concern !== false)
}
