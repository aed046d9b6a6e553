import type { DatabaseHealth } from '../schedule/health.ts'
import type { Family } from './exposition.ts'
import { type FamilyOf, familiesOf, gauge } from './families.ts'

/** Of one reading of the scheduling database; without `health` it failed. */
export interface ScheduleReading {
  readonly time: Date
  readonly seconds: number
  readonly health: DatabaseHealth | undefined
}

/** Whether the scheduling database answers, and how it does. */
export function scheduleMetrics(reading: ScheduleReading): Family[] {
  const { health } = reading
  return [
    ...familiesOf(readingGauges, [reading]),
    ...familiesOf(healthGauges, health === undefined ? [] : [health]),
  ]
}

const readingGauges: readonly FamilyOf<ScheduleReading>[] = [
  gauge(
    'pgarch_schedule_up',
    'Whether the scheduling database could be read; 0: nothing else is known.',
    ({ health }) => health !== undefined,
  ),
  gauge(
    'pgarch_schedule_read_timestamp_seconds',
    'When the scheduling database was read, or was to be.',
    ({ time }) => time,
  ),
  gauge(
    'pgarch_schedule_read_duration_seconds',
    'How long reading the scheduling database took.',
    ({ seconds }) => seconds,
  ),
]

const healthGauges: readonly FamilyOf<DatabaseHealth>[] = [
  gauge('pgarch_schedule_size_bytes', 'Size of the scheduling database.', ({ size }) => size),
  gauge(
    'pgarch_schedule_connections',
    "Connections to the scheduling database's server.",
    ({ connections }) => connections,
  ),
  gauge(
    'pgarch_schedule_connection_limit',
    "Connections that the scheduling database's server admits, without those kept for superusers.",
    ({ connectionLimit }) => connectionLimit,
  ),
  gauge(
    'pgarch_schedule_missing_partitions',
    'Months, of this one and the next, for which the log of what was archived has no partition.',
    ({ missingPartitions }) => missingPartitions.length,
  ),
  gauge(
    'pgarch_schedule_stray_log',
    'Whether rows of the log of what was archived are in its default partition.',
    ({ hasStrayLog }) => hasStrayLog,
  ),
  gauge(
    'pgarch_schedule_oldest_transaction_seconds',
    'How long the oldest transaction in the scheduling database runs; only for members of pg_monitor.',
    ({ seesAll, oldestTransaction }) => (seesAll ? (oldestTransaction ?? 0) : null),
  ),
  gauge(
    'pgarch_schedule_replay_lag_seconds',
    'How far the standby that was read is behind its primary.',
    ({ replayLag }) => replayLag,
  ),
  gauge(
    'pgarch_schedule_standbys',
    'Standbys that are connected to the scheduling database; only for members of pg_monitor.',
    ({ standbys }) => standbys,
  ),
  gauge(
    'pgarch_schedule_standby_lag_seconds',
    'How far the last standby of the scheduling database is behind.',
    ({ standbyLag }) => standbyLag,
  ),
]
