import type { Server } from './servers.ts'

/** Clusters archive one file each in turn; in this fleet the next one follows after so long. */
export const clusters = 10_000
export const paths = 100
const millisecondsPerFile = 30

/** Gone for good, with all that one of a hundred clusters archived; `cluster-5000` is one of them. */
export const lostPath = 'path-1'

/** Rows that one statement makes. */
const chunk = 500_000

/** What every member of this fleet shows. */
export const credential = 'bench'

const tables = ['arch_file', 'arch_copy', 'arch_remote_log'] as const

/** Clusters with a primary's and a standby's host, and paths, two for each cluster. Nothing is archived. */
export async function makeFleet(server: Server): Promise<void> {
  await server.query(
    `insert into pgarch.arch_path_info
       (name, kind, ssh_host, ssh_port, ssh_user, host_key, root_path, capacity_bytes)
     select 'path-' || n, 'sftp', 'archive-' || n || '.example.com', 22, 'archive', 'key',
            '/archive/pg', 20 * 1024::bigint ^ 4
     from generate_series(1, ${paths}) n;
     insert into pgarch.arch_db_info
       (name, host, vip, port, idc, version, system_identifier, wal_segment_size)
     select 'cluster-' || n, 'db-' || n || '.example.com', '10.0.0.0'::inet + n, 5432,
            'dc' || n % 3, '17.2', 7000000000000000000 + n, 16777216
     from generate_series(1, ${clusters}) n;
     insert into pgarch.arch_path_map (db_id, path_id, priority)
     select d.id, p.id, 20 - 10 * number
     from pgarch.arch_db_info d
     cross join generate_series(0, 1) number
     join pgarch.arch_path_info p
       on p.id = 1 + (d.system_identifier::bigint % ${clusters} + 37 * number) % ${paths};
     insert into pgarch.arch_member
       (db_id, host, data_directory, credential_sha256, enrolled, last_seen)
     select id, role || '-of-' || name, '/var/lib/postgresql/17/main', sha256('${credential}'),
            now() - interval '1 year', now()
     from pgarch.arch_db_info, unnest(array['primary', 'standby']) role;
     create table public.bench_cluster as
     select row_number() over (order by d.name) - 1 as number, d.id as db_id, m.id as member_id,
            r.path_id, r.other_path_id
     from pgarch.arch_db_info d
     join pgarch.arch_member m on m.db_id = d.id and m.host like 'primary%'
     join (select db_id, min(path_id) filter (where priority = 20) as path_id,
                  min(path_id) filter (where priority = 10) as other_path_id
           from pgarch.arch_path_map group by db_id) r on r.db_id = d.id;
     analyze`,
    'pgarch',
  )
}

/**
 * Makes the files after the first `from` up to `to`, in the order of time, each with its copy and its row
 * of the log; one of a hundred failed at another path first. The last of `most` files is of now. Indexes
 * are built afterwards, so they are as small as they can be.
 */
export async function makeFiles(
  server: Server,
  { from, to, most, now }: { from: number; to: number; most: number; now: Date },
): Promise<void> {
  const restore = await dropIndexes(server)
  // As many as the processors of a small machine can do at once; each table is written in order.
  await Promise.all(
    tables.map(async (table) => {
      for (let first = from; first < to; first += chunk) {
        const last = Math.min(first + chunk, to)
        await server.query(
          `set session_replication_role = replica; set synchronous_commit = off;
           set enable_mergejoin = off; set enable_nestloop = off;
           ${insertion(table, first, last, most, now)}`,
          'pgarch',
        )
      }
    }),
  )
  await restore()
}

function insertion(
  table: (typeof tables)[number],
  from: number,
  to: number,
  most: number,
  now: Date,
): string {
  const source = `
    (select c.*, n,
            '00000001' || lpad(upper(to_hex((n - 1) / ${clusters} / 256)), 8, '0')
              || lpad(upper(to_hex((n - 1) / ${clusters} % 256)), 8, '0') as wal_name,
            '${now.toISOString()}'::timestamptz
              - (${most} - n) * interval '${millisecondsPerFile} milliseconds' as time
     from generate_series(${from} + 1, ${to}) n
     join public.bench_cluster c on c.number = (n - 1) % ${clusters}) f`
  const storedBytes = '1000000 + n % 9000000'
  switch (table) {
    case 'arch_file':
      return `insert into pgarch.arch_file
                (db_id, wal_name, sha256, wal_size_bytes, member_id, create_time)
              select db_id, wal_name, sha256(int8send(n)), 16777216, member_id, time from ${source}`
    case 'arch_copy':
      return `insert into pgarch.arch_copy (db_id, wal_name, path_id, stored_bytes, create_time)
              select db_id, wal_name, path_id, ${storedBytes}, time from ${source}`
    case 'arch_remote_log':
      return `insert into pgarch.arch_remote_log
                (db_id, event_id, member_id, wal_name, path_id, ssh_port, ssh_user, full_path,
                 wal_size_bytes, stored_bytes, duration, status, error, create_time)
              select db_id, md5(n || ' ' || stored)::uuid, member_id, wal_name,
                     case when stored then path_id else other_path_id end, 22, 'archive',
                     '/archive/pg/' || db_id || '/' || left(wal_name, 16) || '/' || wal_name
                       || '.zst', 16777216,
                     case when stored then ${storedBytes} end, interval '100 milliseconds', stored,
                     case when not stored then 'no answer within 10 s' end, time
              from ${source}
              join (values (true), (false)) t (stored) on stored or n % 100 = 0`
  }
}

/**
 * Indexes, and the check of each file's name, which takes longer than all else. Resolves to what makes
 * them again; names that are there by then are not checked.
 */
async function dropIndexes(server: Server): Promise<() => Promise<void>> {
  const relations = `array[${tables.map((table) => `'pgarch.${table}'::regclass`).join()}]`
  const all = await server.query<{ drop: string; make: string }>(
    `select format('drop index %s', indexrelid::regclass) as drop,
            replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') as make
     from pg_index i
     where indrelid = any (${relations})
       and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
     union all
     select format('alter table %s drop constraint %I', conrelid::regclass, conname),
            format('alter table %s add constraint %I %s', conrelid::regclass, conname,
                   pg_get_constraintdef(oid))
     from pg_constraint where conrelid = any (${relations}) and contype in ('p', 'u')
     union all
     select format('alter domain %s drop constraint %I', contypid::regtype, conname),
            format('alter domain %s add constraint %I %s not valid', contypid::regtype, conname,
                   regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', ''))
     from pg_constraint where contypid = 'pgarch.wal_file_name'::regtype`,
    'pgarch',
  )
  for (const { drop } of all) await server.query(drop, 'pgarch')
  return async () => {
    for (const { make } of all) await server.query(make, 'pgarch')
  }
}
