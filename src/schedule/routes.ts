import { PgarchError } from '../errors.ts'
import type { Schedule } from './connect.ts'

/** A row of arch_path_map. */
export interface RouteEntry {
  readonly fingerprint: string
  readonly clusterName: string
  readonly pathId: number
  readonly pathName: string
  /** Larger is preferred. */
  readonly priority: number
  /** Of this entry. */
  readonly active: boolean
  /** Of the path itself: files go there only if both are. */
  readonly pathActive: boolean
  readonly createTime: Date
  readonly modifyTime: Date
}

/** Puts a path into a cluster's route, or changes its priority there. */
export async function setRoute(
  schedule: Schedule,
  fingerprint: string,
  pathId: number,
  priority: number,
): Promise<void> {
  await schedule.query(
    `insert into pgarch.arch_path_map (db_id, path_id, priority) values ($1, $2, $3)
     on conflict (db_id, path_id) do update set priority = excluded.priority`,
    [fingerprint, pathId, priority],
  )
}

/** In the order in which a push tries them; of one cluster, or of all that are not retired. */
export function listRoutes(schedule: Schedule, fingerprint: string | null): Promise<RouteEntry[]> {
  return schedule.query<RouteEntry>(
    `select d.id as fingerprint, d.name as "clusterName", p.id as "pathId", p.name as "pathName",
            m.priority, m.active_status as active,
            p.active_status and p.lost_time is null as "pathActive",
            m.create_time as "createTime", m.modify_time as "modifyTime"
     from pgarch.arch_path_map m
     join pgarch.arch_db_info d on d.id = m.db_id
     join pgarch.arch_path_info p on p.id = m.path_id
     where case when $1::uuid is null then d.active_status else m.db_id = $1 end
     order by d.name, d.id, m.priority desc, p.id`,
    [fingerprint],
  )
}

/** `refused` when the path is not in the cluster's route. */
export async function setRouteActive(
  schedule: Schedule,
  fingerprint: string,
  pathId: number,
  active: boolean,
): Promise<void> {
  const changed = await schedule.query(
    `update pgarch.arch_path_map set active_status = $3
     where db_id = $1 and path_id = $2 returning id`,
    [fingerprint, pathId, active],
  )
  if (changed.length === 0) throw notInRoute()
}

/**
 * `refused` when the path is not in the cluster's route, and while it holds files of the cluster:
 * a fetch asks the paths of the route, and would else call them absent.
 */
export async function removeRoute(
  schedule: Schedule,
  fingerprint: string,
  pathId: number,
): Promise<void> {
  const [found] = await schedule.query<{ removed: boolean }>(
    `with removed as (
       delete from pgarch.arch_path_map m
       where m.db_id = $1 and m.path_id = $2
         and not exists (select from pgarch.arch_copy c where c.db_id = $1 and c.path_id = $2)
       returning m.id
     )
     select exists (select from removed) as removed
     from pgarch.arch_path_map m where m.db_id = $1 and m.path_id = $2`,
    [fingerprint, pathId],
  )
  if (found === undefined) throw notInRoute()
  if (!found.removed) {
    throw new PgarchError('refused', 'the path holds archived files of this cluster', {
      hint: 'Use "pgarch route disable": no more files go there, and those that it holds can be fetched.',
    })
  }
}

function notInRoute(): PgarchError {
  return new PgarchError('refused', "the path is not in the cluster's route", {
    hint: 'See "pgarch route list".',
  })
}
