import type { ClusterStatus } from '../schedule/status.ts'
import { clusterFindings } from './cluster-findings.ts'
import { type Finding, type Severity, worstFirst } from './finding.ts'
import { type ShippingLag, shippingLag } from './shipping-lag.ts'

/** A cluster, and what of it needs a person's attention, worst first; empty when all is well. */
export type Assessed = ClusterStatus & {
  readonly shippingLag: ShippingLag | null
  readonly severity: Severity
  readonly concerns: readonly string[]
}

export function assess(cluster: ClusterStatus): Assessed {
  const wrong = wrongOf(clusterFindings(cluster))
  return {
    ...cluster,
    shippingLag: shippingLag(cluster, cluster.asOf) ?? null,
    severity: wrong[0]?.severity ?? 'ok',
    concerns: wrong.map(({ text }) => text),
  }
}

/** What is not well, worst first. */
export function wrongOf(findings: readonly Finding[]): Finding[] {
  return worstFirst(findings).filter(({ severity }) => severity !== 'ok')
}
