import { prettySize, prettyTime } from '../amounts.ts'
import type { Assessed } from '../monitor/assessed.ts'
import { passedOver } from '../monitor/cluster-findings.ts'

/** One cluster, in full. */
export async function clusterLines(cluster: Assessed): Promise<string[]> {
  const { fieldLines, tone } = await import('../print.ts')
  const { shipping, cleanups, members, concerns, severity } = cluster
  const passed = passedOver(cluster).filter((path) => path.severity === 'ok')
  const fields = fieldLines({
    cluster: cluster.name,
    switch: cluster.switch,
    route: routeOf(cluster),
    'last archived': cluster.lastWalName,
    at: prettyTime(cluster.lastArchivedTime),
    ...(passed.length > 0 && { 'passed over': passed.map(({ text }) => text).join('; ') }),
    'failed tries since': cluster.failures,
    'last failure': cluster.lastError,
    ...(shipping !== null && {
      'shipped to': `${shipping.shippedLsn ?? '-'} on timeline ${shipping.timeline}, path ${shipping.path ?? '-'}`,
      'shipped by': `${shipping.host} (${prettyTime(shipping.toldTime)}${shipping.ended ? ', ended' : ''})`,
      'shipping lag': lagOf(cluster),
    }),
    ...(cleanups.length > 0 && {
      'cleaned up': cleanups
        .map(
          ({ path, host, files, keptFrom, time }) =>
            `${files} on path ${path} by ${host}, before ${keptFrom} (${prettyTime(time)})`,
        )
        .join(', '),
    }),
    members: members.map(({ host, lastSeen }) => `${host} (${prettyTime(lastSeen)})`).join(', '),
  })
  return [...fields, ...concerns.map(severity === 'critical' ? tone.bad : tone.doubtful)]
}

/** In the order in which a push tries them; in brackets those that are not active. */
export function routeOf({ route }: Assessed): string | null {
  return route.map(({ path, active }) => (active ? path : `(${path})`)).join(' > ') || null
}

export function lagOf({ shipping, shippingLag: lag }: Assessed): string | null {
  if (shipping === null || lag === null) return null
  const seconds = Math.round(lag.milliseconds / 1000)
  return lag.bytes === 0 ? 'none' : `${prettySize(lag.bytes)}, ${seconds} s`
}
