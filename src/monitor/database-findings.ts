import { prettySize, prettySpan } from '../amounts.ts'
import type { DatabaseHealth } from '../schedule/health.ts'
import type { Finding } from './finding.ts'
import { type Checked, judge, type Measure } from './measure.ts'
import { parseRange } from './range.ts'

const about = 'scheduling database'

/** What of the scheduling database itself would hold up archiving, or let it slow down. */
export function checkDatabase(health: DatabaseHealth): Checked {
  const { schemaVersion, size, replayLag, seesAll } = health
  const role = replayLag === null ? '' : ', a standby'
  const findings: Finding[] = [
    {
      ...{ severity: 'ok', about },
      text: `schema version ${schemaVersion}, ${prettySize(size)}${role}`,
    },
  ]
  if (!seesAll) {
    findings.push({
      ...{ severity: 'ok', about },
      text: 'its transactions and standbys cannot be seen',
      hint: 'Grant pg_monitor to the role that checks.',
    })
  }
  return { findings: [...findings, ...logFindings(health)], measures: measures(health) }
}

/** All that needs attention, as findings; what is well, too. */
export function databaseFindings(health: DatabaseHealth): Finding[] {
  const checked = checkDatabase(health)
  return [...checked.findings, ...checked.measures.map(judge)]
}

function measures(health: DatabaseHealth): Measure[] {
  const { connections, connectionLimit, seesAll, oldestTransaction, replayLag } = health
  const inUse = `${connections} of ${connectionLimit} connections are in use`
  const found: Measure[] = [
    {
      ...{ name: 'connections', value: (connections / connectionLimit) * 100, unit: '%' },
      ...{ about, text: inUse, warning: parseRange('80'), critical: parseRange('95'), min: 0 },
      hint: 'Hosts that get none keep their records in their journals. Raise max_connections, or put a pooler before it.',
    },
  ]
  if (seesAll) {
    const age = oldestTransaction ?? 0
    const text = `a transaction is open for ${prettySpan(age * 1000)}`
    const hint =
      'Meanwhile no dead row is removed, and every record costs more: see pg_stat_activity.'
    found.push(seconds('oldest_transaction', age, text, '3600', hint))
  }
  if (replayLag !== null) {
    const text = Number.isNaN(replayLag)
      ? 'how far this standby is behind its primary cannot be told'
      : `this standby is ${prettySpan(replayLag * 1000)} behind its primary`
    const hint = 'What is told here is as old.'
    found.push(seconds('replay_lag', replayLag, text, '300', hint))
  }
  if (health.standbys) {
    // Null: nothing is on its way.
    const lag = health.standbyLag ?? 0
    const text = `a standby is ${prettySpan(lag * 1000)} behind`
    const hint = 'What a failover would lose, "pgarch schedule rebuild" finds on the paths.'
    found.push(seconds('standby_lag', lag, text, '300', hint))
  }
  return found
}

function seconds(name: string, value: number, text: string, limit: string, hint: string): Measure {
  return { name, value, unit: 's', about, text, hint, warning: parseRange(limit), min: 0 }
}

/** A partition that is missing harms nobody until there is something to log. */
function logFindings({ missingPartitions, hasStrayLog }: DatabaseHealth): Finding[] {
  if (!hasStrayLog) return []
  const missing = missingPartitions.map((month) => `arch_remote_log_${month}`).join(', ')
  const besides = missing === '' ? '' : `, and no partition ${missing}`
  const text = `the log has rows in its default partition${besides}`
  const hint = 'Months that they are of get no partition of their own: see docs/monitoring.md.'
  return [{ severity: 'warning', about, text, hint }]
}
