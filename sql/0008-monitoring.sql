-- What is counted as it is told, so that no check, scrape or report reads the files or the log. Only
-- adds, so that older clients go on working; what they record counts too.
--
-- Locks are taken in one order: the log and its sums, then arch_copy and its sums. So who records, who
-- cleans up and who rebuilds wait for one another, and nobody for ever. All rows are a cluster's own:
-- hosts of different clusters never wait for one another.

set local role pgarch_admin;

-- What lies on a path: the sums of arch_copy.
create table pgarch.arch_path_use (
  db_id uuid not null,
  path_id int not null,
  files bigint not null,
  stored_bytes bigint not null,
  primary key (db_id, path_id)
) with (fillfactor = 50);
create index arch_path_use_path_id on pgarch.arch_path_use (path_id);

-- How a cluster's archiving to a path goes, by the log.
create table pgarch.arch_path_status (
  db_id uuid not null,
  path_id int not null,
  last_stored_time timestamptz,
  -- tries since the last one that succeeded
  failures bigint not null,
  last_failure_time timestamptz,
  last_error text,
  primary key (db_id, path_id)
) with (fillfactor = 50);
create index arch_path_status_path_id on pgarch.arch_path_status (path_id);

-- The log's sums by day (UTC). What a host with an old clock tells can be of an old day. Old rows may be
-- deleted: only reports of those days miss them.
create table pgarch.arch_daily (
  day date not null,
  db_id uuid not null,
  path_id int not null,
  -- that were stored; what was there already, and known to be, is not counted again
  files bigint not null,
  wal_bytes bigint not null,
  stored_bytes bigint not null,
  -- what storing them took, and the longest of it
  duration interval not null,
  longest interval not null,
  -- tries
  failures bigint not null,
  primary key (db_id, path_id, day)
) with (fillfactor = 80);
create index arch_daily_day on pgarch.arch_daily (day);

-- What was taken from paths by day (UTC): the sums of what was deleted from arch_copy.
create table pgarch.arch_daily_removed (
  day date not null,
  db_id uuid not null,
  path_id int not null,
  files bigint not null,
  stored_bytes bigint not null,
  primary key (db_id, path_id, day)
) with (fillfactor = 80);
create index arch_daily_removed_day on pgarch.arch_daily_removed (day);

-- When a member last told of something that had waited in its journal, and for how long it had.
create table pgarch.arch_member_late (
  db_id uuid not null,
  member_id uuid not null,
  late_time timestamptz not null,
  late_by interval not null,
  primary key (db_id, member_id)
) with (fillfactor = 50);

-- What was found when somebody looked at a path: "pgarch path test", "pgarch check --probe".
create table pgarch.arch_path_probe (
  path_id int primary key references pgarch.arch_path_info on delete cascade,
  probe_time timestamptz not null,
  -- null: it is as it should be
  error text,
  -- of the path's file system; null: it never told
  free_bytes bigint,
  size_bytes bigint,
  -- when it did, and what lay there by arch_path_use
  space_time timestamptz,
  space_stored_bytes bigint
) with (fillfactor = 50);

-- What a cluster's server was set to when a host of it was registered last. A table of its own: another
-- column would lock arch_db_info, and with it every fetch, until the sums below are made.
create table pgarch.arch_db_server (
  db_id uuid primary key references pgarch.arch_db_info,
  -- 0: off
  archive_timeout_seconds int not null check (archive_timeout_seconds >= 0),
  told_time timestamptz not null default now()
);

create function pgarch.count_tries() returns trigger
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  -- A host's clock may be some minutes wrong before its time is replaced (see record), and this
  -- server's clock may have been ahead: what happened in the last minutes counts as the newest.
  insert into arch_path_status as s
    (db_id, path_id, last_stored_time, failures, last_failure_time, last_error)
  select t.db_id, t.path_id, max(least(t.create_time, now())) filter (where t.status),
         count(*) filter (where not t.status and t.create_time > t.stored_time),
         max(least(t.create_time, now())) filter (where not t.status),
         (array_agg(t.error order by t.create_time desc) filter (where not t.status))[1]
  from (select *, coalesce(max(create_time) filter (where status)
                           over (partition by db_id, path_id), '-infinity') as stored_time
        from told) t
  group by t.db_id, t.path_id
  order by t.db_id, t.path_id
  on conflict (db_id, path_id) do update set
    (last_stored_time, failures, last_failure_time, last_error) = (
      select case when later then excluded.last_stored_time else s.last_stored_time end,
             case when cleared then excluded.failures
                  when newer or s.last_stored_time is null
                    or excluded.last_failure_time > s.last_stored_time
                  then s.failures + excluded.failures else s.failures end,
             case when newer then excluded.last_failure_time else s.last_failure_time end,
             case when newer then excluded.last_error else s.last_error end
      from (select now() - interval '15 minutes' as lately) l,
           lateral (select coalesce(excluded.last_stored_time
                             >= least(coalesce(s.last_stored_time, '-infinity'), lately), false),
                           coalesce(excluded.last_stored_time
                             >= least(coalesce(greatest(s.last_stored_time, s.last_failure_time),
                                               '-infinity'), lately), false),
                           coalesce(excluded.last_failure_time
                             >= least(coalesce(s.last_failure_time, '-infinity'), lately), false))
             as t (later, cleared, newer));

  insert into arch_daily as d (day, db_id, path_id, files, wal_bytes, stored_bytes, duration,
                               longest, failures)
  select (t.create_time at time zone 'UTC')::date, t.db_id, t.path_id,
         count(*) filter (where t.fresh), coalesce(sum(t.wal_size_bytes) filter (where t.fresh), 0),
         coalesce(sum(t.stored_bytes) filter (where t.fresh), 0),
         coalesce(sum(t.duration) filter (where t.fresh), '0'),
         coalesce(max(t.duration) filter (where t.fresh), '0'),
         count(*) filter (where not t.status)
  from (select *,
               -- The copy is entered after the try, and once. "+ 0" keeps from being used, while there
               -- are no statistics yet, the index that finds all that a cluster has on a path.
               status and row_number() over (partition by db_id, path_id, wal_name, status
                                             order by create_time) = 1
               and (select false from arch_copy c
                    where c.db_id = told.db_id and c.wal_name = told.wal_name
                      and c.path_id is not null and c.path_id + 0 = told.path_id) is null as fresh
        from told) t
  group by 1, 2, 3
  order by 2, 3, 1
  on conflict (db_id, path_id, day) do update set
    files = d.files + excluded.files, wal_bytes = d.wal_bytes + excluded.wal_bytes,
    stored_bytes = d.stored_bytes + excluded.stored_bytes,
    duration = d.duration + excluded.duration, longest = greatest(d.longest, excluded.longest),
    failures = d.failures + excluded.failures;

  -- What did not wait has a time that is not older (see record).
  insert into arch_member_late (db_id, member_id, late_time, late_by)
  select db_id, member_id, now(), now() - min(create_time)
  from told where create_time < now() - interval '15 minutes'
  group by db_id, member_id
  order by db_id, member_id
  on conflict (db_id, member_id) do update
    set late_time = excluded.late_time, late_by = excluded.late_by;
  return null;
end
$$;

-- What a statement adds to what lies on paths, and what it takes away.
create function pgarch.count_copies() returns trigger
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into arch_path_use as u (db_id, path_id, files, stored_bytes)
    select db_id, path_id, count(*), coalesce(sum(stored_bytes), 0)
    from made where path_id is not null group by 1, 2 order by 1, 2
    on conflict (db_id, path_id) do update set
      files = u.files + excluded.files, stored_bytes = u.stored_bytes + excluded.stored_bytes;
  elsif tg_op = 'UPDATE' then
    insert into arch_path_use as u (db_id, path_id, files, stored_bytes)
    select db_id, path_id, sum(files), coalesce(sum(bytes), 0)
    from (select db_id, path_id, 1 as files, stored_bytes as bytes from made
          union all select db_id, path_id, -1, -stored_bytes from gone) c
    where path_id is not null group by 1, 2 order by 1, 2
    on conflict (db_id, path_id) do update set
      files = u.files + excluded.files, stored_bytes = u.stored_bytes + excluded.stored_bytes;
  else
    insert into arch_path_use as u (db_id, path_id, files, stored_bytes)
    select db_id, path_id, -count(*), -coalesce(sum(stored_bytes), 0)
    from gone where path_id is not null group by 1, 2 order by 1, 2
    on conflict (db_id, path_id) do update set
      files = u.files + excluded.files, stored_bytes = u.stored_bytes + excluded.stored_bytes;

    insert into arch_daily_removed as d (day, db_id, path_id, files, stored_bytes)
    select (now() at time zone 'UTC')::date, db_id, path_id, count(*),
           coalesce(sum(stored_bytes), 0)
    from gone where path_id is not null group by 1, 2, 3 order by 2, 3
    on conflict (db_id, path_id, day) do update set
      files = d.files + excluded.files, stored_bytes = d.stored_bytes + excluded.stored_bytes;
  end if;
  return null;
end
$$;

-- Nobody records between the sums and the triggers; meanwhile hosts keep what they record in their
-- journals. The order is that in which record writes.
lock table pgarch.arch_remote_log in share row exclusive mode;
lock table pgarch.arch_copy in share row exclusive mode;

insert into pgarch.arch_path_use (db_id, path_id, files, stored_bytes)
select db_id, path_id, count(*), coalesce(sum(stored_bytes), 0)
from pgarch.arch_copy where path_id is not null group by 1, 2;

insert into pgarch.arch_path_status
  (db_id, path_id, last_stored_time, failures, last_failure_time, last_error)
select db_id, path_id, max(least(create_time, now())) filter (where status), 0,
       max(least(create_time, now())) filter (where not status),
       (array_agg(error order by create_time desc) filter (where not status))[1]
from pgarch.arch_remote_log group by 1, 2;

update pgarch.arch_path_status s set failures =
  (select count(*) from pgarch.arch_remote_log l
   where l.db_id = s.db_id and l.path_id = s.path_id and not l.status
     and l.create_time > coalesce(s.last_stored_time, '-infinity'))
where s.last_failure_time > coalesce(s.last_stored_time, '-infinity');

-- In the days until now a file that was told of again counts again: to find those would take long.
insert into pgarch.arch_daily (day, db_id, path_id, files, wal_bytes, stored_bytes, duration,
                               longest, failures)
select (create_time at time zone 'UTC')::date, db_id, path_id, count(*) filter (where status),
       coalesce(sum(wal_size_bytes) filter (where status), 0),
       coalesce(sum(stored_bytes) filter (where status), 0),
       coalesce(sum(duration) filter (where status), '0'),
       coalesce(max(duration) filter (where status), '0'), count(*) filter (where not status)
from pgarch.arch_remote_log group by 1, 2, 3;

create trigger count_tries after insert on pgarch.arch_remote_log
  referencing new table as told
  for each statement execute function pgarch.count_tries();
create trigger count_made_copies after insert on pgarch.arch_copy
  referencing new table as made
  for each statement execute function pgarch.count_copies();
create trigger count_changed_copies after update on pgarch.arch_copy
  referencing old table as gone new table as made
  for each statement execute function pgarch.count_copies();
create trigger count_gone_copies after delete on pgarch.arch_copy
  referencing old table as gone
  for each statement execute function pgarch.count_copies();

-- What who monitors found at a path; null for what is not known.
create function pgarch.note_probe(path_id int, error text, free_bytes bigint, size_bytes bigint)
returns void
language sql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
  insert into arch_path_probe as p (path_id, probe_time, error, free_bytes, size_bytes,
                                    space_time, space_stored_bytes)
  select $1, now(), $2, $3, $4, now(), (select coalesce(sum(u.stored_bytes), 0)
                                        from arch_path_use u where u.path_id = $1)
  on conflict (path_id) do update set
    (probe_time, error, free_bytes, size_bytes, space_time, space_stored_bytes) = (
      select excluded.probe_time, excluded.error, s.*
      from (select excluded.free_bytes, excluded.size_bytes, excluded.space_time,
                   excluded.space_stored_bytes
            where excluded.free_bytes is not null
            union all
            select p.free_bytes, p.size_bytes, p.space_time, p.space_stored_bytes
            where excluded.free_bytes is null) s)
$$;

grant select on pgarch.arch_path_use, pgarch.arch_path_status, pgarch.arch_daily,
  pgarch.arch_daily_removed, pgarch.arch_member_late, pgarch.arch_path_probe,
  pgarch.arch_db_server to pgarch_monitor;
revoke all on all functions in schema pgarch from public;
grant execute on function pgarch.note_probe(int, text, bigint, bigint) to pgarch_monitor;

insert into pgarch.schema_version (version, name, oldest_client) values (8, 'monitoring', 1);
