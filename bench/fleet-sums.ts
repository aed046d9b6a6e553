import { lostPath } from './fleet-rows.ts'
import type { Server } from './servers.ts'

/**
 * What triggers would have summed up while the files were made, from what is there; then statistics, and
 * some troubles, so that there is something to report: they are as many at every size.
 */
export async function makeSums(server: Server): Promise<void> {
  for (const sql of sums) await server.query(sql, 'pgarch')
  await server.query(troubles, 'pgarch')
  await server.query('vacuum (analyze)', 'pgarch')
}

const sums = [
  `truncate pgarch.arch_path_use, pgarch.arch_path_status, pgarch.arch_daily, pgarch.arch_db_status`,
  `insert into pgarch.arch_path_use (db_id, path_id, files, stored_bytes)
   select db_id, path_id, count(*), sum(stored_bytes)
   from pgarch.arch_copy where path_id is not null group by 1, 2`,
  `insert into pgarch.arch_daily
     (day, db_id, path_id, files, wal_bytes, stored_bytes, duration, longest, failures)
   select (create_time at time zone 'UTC')::date, db_id, path_id, count(*) filter (where status),
          coalesce(sum(wal_size_bytes) filter (where status), 0),
          coalesce(sum(stored_bytes) filter (where status), 0),
          coalesce(sum(duration) filter (where status), '0'),
          coalesce(max(duration) filter (where status), '0'), count(*) filter (where not status)
   from pgarch.arch_remote_log group by 1, 2, 3`,
  // All clusters archived last just now, so that all is well but for the troubles.
  `insert into pgarch.arch_path_status (db_id, path_id, last_stored_time, failures)
   select db_id, path_id, now(), 0 from pgarch.arch_path_use`,
  `insert into pgarch.arch_db_status (db_id, last_wal_name, last_archived_time)
   select db_id, max(wal_name), now() from pgarch.arch_file group by db_id`,
]

const troubles = `
  update pgarch.arch_path_info set lost_time = now() where name = '${lostPath}' and lost_time is null;
  update pgarch.arch_db_info set switch = 'pause', switch_author = 'bench' where name like '%-777_';
  truncate pgarch.arch_conflict;
  insert into pgarch.arch_conflict (db_id, wal_name, sha256, member_id)
  select c.db_id, '000000010000000000000001', sha256('other'), c.member_id
  from public.bench_cluster c where c.number % 500 = 0;
  delete from pgarch.arch_copy where member_id is not null;
  insert into pgarch.arch_copy (db_id, wal_name, member_id, stored_bytes)
  select c.db_id, '00000001000000FF0000000' || n, c.member_id, 16777216
  from public.bench_cluster c, generate_series(1, 5) n where c.number % 200 = 0`

/** Bytes: of what grows with the number of files, and of everything. */
export interface Disk {
  readonly name: string
  readonly table: number
  readonly indexes: number
}

export async function measureDisk(server: Server): Promise<Disk[]> {
  return await server.query<Disk>(
    `select name, sum(pg_table_size(relid))::float8 as table,
            sum(pg_indexes_size(relid))::float8 as indexes
     from (select 'arch_file' as name, 'pgarch.arch_file'::regclass as relid
           union all select 'arch_copy', 'pgarch.arch_copy'
           union all select 'arch_remote_log', relid
                     from pg_partition_tree('pgarch.arch_remote_log') where isleaf
           union all select 'all others', oid from pg_class
                     where relnamespace = 'pgarch'::regnamespace and relkind = 'r'
                       and relname not in ('arch_file', 'arch_copy')
                       and not relispartition) t
     group by name order by min(relid::oid)`,
    'pgarch',
  )
}
