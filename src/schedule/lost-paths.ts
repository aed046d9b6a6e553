import { PgarchError } from '../errors.ts'
import type { Schedule } from './connect.ts'
import { type ArchivePath, findPath, listPaths, requirePath } from './paths.ts'

/** Files of one cluster that were archived on a path and are nowhere else now. */
export interface OnlyThere {
  readonly clusterName: string
  readonly files: number
  /** Names of WAL files, in the order of names. */
  readonly first: string
  readonly last: string
}

/** A member's local archive counts as elsewhere; what is lost, too, does not. */
export function filesOnlyOn(schedule: Schedule, pathId: number): Promise<OnlyThere[]> {
  return schedule.query<OnlyThere>(
    `select d.name as "clusterName", count(*) as files, min(c.wal_name) as first,
            max(c.wal_name) as last
     from pgarch.arch_copy c join pgarch.arch_db_info d on d.id = c.db_id
     where c.path_id = $1 and not exists (
       select from pgarch.living_copy o
       where o.db_id = c.db_id and o.wal_name = c.wal_name and o.path_id is distinct from $1)
     group by d.id order by d.name`,
    [pathId],
  )
}

/** From then on no file goes there, and nobody asks it any more. `refused` when it is lost already. */
export async function losePath(
  schedule: Schedule,
  id: number,
  { author, reason }: { readonly author: string; readonly reason: string | null },
): Promise<void> {
  const changed = await schedule.query(
    `update pgarch.arch_path_info set lost_time = now(), lost_by = $2, lost_reason = $3
     where id = $1 and lost_time is null returning id`,
    [id, author, reason],
  )
  if (changed.length === 0) throw new PgarchError('refused', 'the path is lost already')
}

/** It is again what it was before. `refused` when another path has its name or place by now. */
export async function returnPath(schedule: Schedule, id: number): Promise<void> {
  await schedule.query(
    `update pgarch.arch_path_info set lost_time = null, lost_by = null, lost_reason = null
     where id = $1`,
    [id],
  )
}

/** The path of this name, or if there is none the lost one. */
export async function requirePathOrLost(schedule: Schedule, name: string): Promise<ArchivePath> {
  const found = await findPath(schedule, name)
  if (found !== undefined) return found
  const isLost = (await listPaths(schedule)).some((path) => path.name === name)
  return isLost ? await requireLostPath(schedule, name) : await requirePath(schedule, name)
}

/** Of all lost paths of this name, or with this uuid in `pgarch-path`, the only one; else `refused`. */
export async function requireLostPath(schedule: Schedule, reference: string): Promise<ArchivePath> {
  const lost = (await listPaths(schedule)).filter(
    ({ lostTime, name, uuid }) => lostTime !== null && (name === reference || uuid === reference),
  )
  const [only] = lost
  if (only !== undefined && lost.length === 1) return only
  throw only === undefined
    ? new PgarchError('refused', `no lost path has the name "${reference}"`, {
        hint: 'See "pgarch path list".',
      })
    : new PgarchError('refused', `${lost.length} lost paths have the name "${reference}"`, {
        hint: `Use what pgarch-path at its root says: ${lost.map(({ uuid }) => uuid).join(', ')}.`,
      })
}
