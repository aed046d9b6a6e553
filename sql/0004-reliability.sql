-- What lets archiving go on: the journal's delivery, local archives, a reserve of free space, lost
-- paths, and conflicts set aside. Only adds, so that older clients go on working.

set local role pgarch_admin;

-- push passes a path over that would be left with less than this.
alter table pgarch.arch_path_info add column reserve_bytes bigint not null default 67108864
  check (reserve_bytes >= 0);
alter table pgarch.arch_path_info add column lost_by text;
alter table pgarch.arch_path_info add column lost_reason text;

create or replace function pgarch.describe_path(path pgarch.arch_path_info, priority int)
returns jsonb
language sql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
  select jsonb_build_object(
    'id', path.id, 'uuid', path.uuid, 'name', path.name, 'kind', path.kind,
    'sshHost', coalesce(path.ssh_host, host(path.ssh_ip)), 'sshPort', path.ssh_port,
    'sshUser', path.ssh_user, 'hostKey', path.host_key, 'rootPath', path.root_path,
    'reserveBytes', path.reserve_bytes, 'priority', priority)
$$;

create trigger path_reserve_changed after update on pgarch.arch_path_info
  for each row when (old.reserve_bytes is distinct from new.reserve_bytes)
  execute function pgarch.path_changed();

-- Content that gave way to other content under its name. Where it was stored, the file was renamed.
-- A row is there before the first rename, so that a command that was killed goes on as it began.
create table pgarch.arch_set_aside (
  id bigint generated always as identity primary key,
  db_id uuid not null references pgarch.arch_db_info,
  wal_name pgarch.wal_file_name not null,
  sha256 pgarch.sha256_digest not null,
  wal_size_bytes bigint,
  -- who archived it, or tried to; null: nobody knows
  member_id uuid,
  -- [{path, file}]: where it lies now, below the paths' roots
  copies jsonb not null default '[]',
  author text not null,
  reason text not null,
  create_time timestamptz not null default now(),
  finished_time timestamptz
);
create unique index arch_set_aside_unfinished_key on pgarch.arch_set_aside (db_id, wal_name)
  where finished_time is null;
create index arch_set_aside_db_id on pgarch.arch_set_aside (db_id, wal_name);
grant select on pgarch.arch_set_aside to pgarch_monitor;

-- A member's local archive that was declared gone for good: what was in it until then is nowhere.
create table pgarch.arch_local_loss (
  db_id uuid not null references pgarch.arch_db_info,
  member_id uuid not null,
  lost_time timestamptz not null default now(),
  lost_by text not null,
  lost_reason text,
  primary key (db_id, member_id)
);
grant select on pgarch.arch_local_loss to pgarch_monitor;

-- Where files are, without paths and local archives that were declared lost.
create view pgarch.living_copy as
select c.db_id, c.wal_name, c.path_id, null::uuid as member_id
from pgarch.arch_copy c join pgarch.arch_path_info p on p.id = c.path_id
where c.path_id is not null and p.lost_time is null
union all
select c.db_id, c.wal_name, null, c.member_id
from pgarch.arch_copy c
where c.member_id is not null
  and not exists (select from pgarch.arch_local_loss l
                  where l.db_id = c.db_id and l.member_id = c.member_id
                    and l.lost_time >= c.create_time);
grant select on pgarch.living_copy to pgarch_monitor;

-- As before, but no clock that is wrong, or was set, hides anything. What a host tells at once (live)
-- happened now, whatever its own clock says: it is logged with this server's time where the two
-- differ, and decides the cluster's status, as what is told later is newer. What waited in a journal
-- is placed by its own time.
-- events: [{.., live: true, or false or missing}]
create or replace function pgarch.record(member uuid, credential text, events jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
  earliest timestamptz := now() - interval '1 year';
  latest timestamptz := now() + interval '1 day';
  -- Earlier tries of the same push may have waited for paths that did not answer.
  earliest_live timestamptz := now() - interval '15 minutes';
  latest_live timestamptz := now() + interval '1 minute';
  fresh uuid[];
  month timestamp;
begin
  for month in
    select distinct date_trunc('month', needed.moment at time zone 'UTC')
    from (select e.time from jsonb_to_recordset(events) as e (time timestamptz)
          where e.time between earliest and latest
          union all values (now()), (now() + interval '1 month')) as needed (moment)
  loop
    if to_regclass('pgarch.arch_remote_log_' || to_char(month, 'YYYY_MM')) is null then
      perform make_log_partition(month);
    end if;
  end loop;

  -- The key of the log has create_time in it, which may not be the same at each delivery.
  if exists (select from jsonb_to_recordset(events) as e (live boolean, time timestamptz)
             where (e.live and e.time between earliest_live and latest_live) is not true) then
    perform pg_advisory_xact_lock(hashtextextended('pgarch.record ' || caller.id, 0));
  end if;

  with told as (
    select e.*, coalesce(e.is_live, false) as live,
           case when coalesce(e.is_live, false) then e.time between earliest_live and latest_live
                else e.time between earliest and latest end is true as plausible
    from rows from (jsonb_to_recordset(events)
      as ("eventId" uuid, "walName" text, "walSize" bigint, "pathId" int, status text,
          "storedBytes" bigint, "durationMilliseconds" float8, error text, time timestamptz,
          live boolean)) with ordinality
      as e (event_id, wal_name, wal_size, path_id, status, stored_bytes, milliseconds, error, time,
            is_live, position)
  ), logged as (
    insert into arch_remote_log as l
      (db_id, event_id, member_id, wal_name, path_id, ssh_ip, ssh_port, ssh_user, full_path,
       wal_size_bytes, stored_bytes, duration, status, error, create_time, host_time)
    select caller.db_id, e.event_id, caller.id, e.wal_name, e.path_id, p.ssh_ip, p.ssh_port,
           p.ssh_user, rtrim(p.root_path, '/') || '/' || stored_name(caller.db_id, e.wal_name),
           e.wal_size, e.stored_bytes, e.milliseconds * interval '1 millisecond',
           e.status in ('stored', 'already-stored'), e.error,
           case when plausible then e.time else now() end,
           case when not plausible then e.time end
    from told e
    left join arch_path_info p on p.id = e.path_id
    where (live and plausible)
       or not exists (select from arch_remote_log known
                      where known.db_id = caller.db_id and known.event_id = e.event_id)
    on conflict do nothing
    returning l.event_id, l.wal_name, l.status, l.error, l.create_time
  ), ordered as (
    select l.*, e.live,
           row_number() over (order by case when e.live then null else l.create_time end,
                                       e.position) as place
    from logged l join told e using (event_id)
  ), batch as (
    select bool_and(live) as live, max(place) filter (where status) as archived_place,
           (array_agg(create_time order by place desc) filter (where status))[1] as archived_time,
           (array_agg(wal_name order by place desc) filter (where status))[1] as archived,
           (array_agg(create_time order by place desc) filter (where not status))[1]
             as failure_time,
           (array_agg(error order by place desc) filter (where not status))[1] as error,
           array_agg(event_id) as event_ids
    from ordered
  ), failed as (
    select count(*) filter (where o.place > coalesce(b.archived_place, 0)) as after_all,
           array_agg(o.create_time) as times
    from ordered o, batch b where not o.status
  ), status as (
    insert into arch_db_status as s
      (db_id, last_wal_name, last_archived_time, failures, last_failure_time, last_error)
    select caller.db_id, archived, archived_time, f.after_all, failure_time, error
    from batch b, failed f where event_ids is not null
    on conflict (db_id) do update set
      (last_wal_name, last_archived_time, failures, last_failure_time, last_error) = (
        select case when later then b.archived else s.last_wal_name end,
               case when later then b.archived_time else s.last_archived_time end,
               case when later then 0 else s.failures end
                 + case when b.live then f.after_all
                   else (select count(*) from unnest(f.times) as t (moment)
                         where t.moment > coalesce(greatest(b.archived_time, s.last_archived_time),
                                                   '-infinity')) end,
               case when newer then b.failure_time else s.last_failure_time end,
               case when newer then b.error else s.last_error end
        from batch b, failed f,
             lateral (select b.archived_time is not null
                             and (b.live or b.archived_time
                                            >= coalesce(s.last_archived_time, '-infinity')),
                             b.failure_time is not null
                             and (b.live or b.failure_time
                                            >= coalesce(s.last_failure_time, '-infinity')))
               as t (later, newer))
  )
  select event_ids into fresh from batch;

  insert into arch_copy as c (db_id, wal_name, path_id, stored_bytes)
  select distinct on (e."walName", p.id) caller.db_id, e."walName", p.id, e."storedBytes"
  from jsonb_to_recordset(events)
       as e ("eventId" uuid, "walName" text, "pathId" int, status text, "storedBytes" bigint,
             time timestamptz)
  join arch_path_info p on p.id = e."pathId"
  where e."eventId" = any (fresh) and e.status in ('stored', 'already-stored')
  order by e."walName", p.id, e.time desc
  on conflict (db_id, wal_name, path_id) where path_id is not null
  do update set stored_bytes = excluded.stored_bytes, create_time = now()
    where c.stored_bytes is distinct from excluded.stored_bytes;

  insert into arch_conflict as k (db_id, wal_name, sha256, path_id, member_id, times)
  select caller.db_id, e."walName", f.sha256, e."pathId", caller.id,
         count(distinct e."eventId")
  from jsonb_to_recordset(events)
       as e ("eventId" uuid, "walName" text, "pathId" int, status text)
  left join arch_file f on f.db_id = caller.db_id and f.wal_name = e."walName"
  where e."eventId" = any (fresh) and e.status = 'conflict'
  group by e."walName", f.sha256, e."pathId"
  on conflict (db_id, wal_name, (coalesce(sha256, ''::bytea)), (coalesce(path_id, 0)))
    where resolved_time is null
  do update set last_seen = now(), times = k.times + excluded.times,
                member_id = excluded.member_id;

  return (select d.route_version from arch_db_info d where d.id = caller.db_id);
end
$$;

-- A backup history file that a crash emptied, as PostgreSQL does not fsync it: whatever lies under its
-- name says more, and that is no conflict for anybody to settle.
create function pgarch.is_emptied(claim jsonb) returns boolean
language sql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
  select (claim ->> 'walSize')::bigint = 0 and claim ->> 'walName' like '%.backup'
$$;

-- What a host did, in its journal's order; everything is claimed, and counts once however often it
-- is delivered. Also for a paused, stopped or retired cluster, because what was stored is there. An
-- entry whose content was refused at its claim is logged as a conflict, and makes no copy.
-- entries: [{claim: {walName, sha256, walSize, history}, events: [{eventId, walName, walSize, pathId,
--            status: stored | already-stored | conflict | failed | local | drained, storedBytes,
--            durationMilliseconds, error, time, fullPath}], live}]
--   live: it happened just now, and did not wait in a journal; see record
--   local: it lies in the member's local archive, at fullPath; drained: it no longer does
-- returns {version, conflicts: [{walName, sha256, claimedBy}]}
create function pgarch.deliver(member uuid, credential text, entries jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
  outcomes jsonb;
  events jsonb;
  version bigint;
  fresh uuid[];
begin
  outcomes := claim(caller, (select coalesce(jsonb_agg(e.entry -> 'claim' order by e.position), '[]')
                             from jsonb_array_elements(entries) with ordinality e (entry, position)));

  select coalesce(jsonb_agg(
           v.event || jsonb_build_object('live', e.entry -> 'live') ||
           case when o.outcome ->> 'outcome' = 'conflict'
                     and v.event ->> 'status' in ('stored', 'already-stored')
                then jsonb_build_object('status', 'conflict', 'error',
                       'other content was archived by ' || (o.outcome ->> 'claimedBy'))
                else '{}' end), '[]')
  into events
  from jsonb_array_elements(entries) with ordinality e (entry, position)
  join jsonb_array_elements(outcomes) with ordinality o (outcome, position) using (position)
  cross join jsonb_array_elements(e.entry -> 'events') v (event)
  where v.event ->> 'status' not in ('local', 'drained')
    and not (is_emptied(e.entry -> 'claim')
             and 'conflict' in (o.outcome ->> 'outcome', v.event ->> 'status'));
  version := record(member, credential, events);

  with logged as (
    insert into arch_local_log
      (db_id, event_id, member_id, wal_name, full_path, wal_size_bytes, status, create_time)
    select caller.db_id, v."eventId", caller.id, v."walName", v."fullPath", v."walSize",
           v.status = 'local', least(v.time, now())
    from jsonb_array_elements(entries) e (entry)
    cross join jsonb_to_recordset(e.entry -> 'events')
      as v ("eventId" uuid, "walName" text, "walSize" bigint, status text, "fullPath" text,
            time timestamptz)
    where v.status in ('local', 'drained')
    on conflict do nothing
    returning event_id
  )
  select array_agg(event_id) into fresh from logged;

  -- The last word on each file decides, as both can be in one delivery; what was delivered before
  -- has no word any more.
  with last_word as (
    select distinct on (v."walName") v."walName" as wal_name, v.status, v."storedBytes" as bytes,
           o.outcome ->> 'outcome' = 'conflict' as is_refused
    from jsonb_array_elements(entries) with ordinality e (entry, position)
    join jsonb_array_elements(outcomes) with ordinality o (outcome, position) using (position)
    cross join rows from (jsonb_to_recordset(e.entry -> 'events')
      as ("eventId" uuid, "walName" text, status text, "storedBytes" bigint)) with ordinality
      as v ("eventId", "walName", status, "storedBytes", number)
    where v."eventId" = any (fresh)
    order by v."walName", position desc, v.number desc
  ), gone as (
    -- A host that registered again is another member, with the same local archive.
    delete from arch_copy c using last_word l, arch_member m
    where l.status = 'drained' and c.db_id = caller.db_id and c.wal_name = l.wal_name
      and m.id = c.member_id and m.db_id = caller.db_id and m.host = caller.host
      and m.data_directory = caller.data_directory
  )
  insert into arch_copy (db_id, wal_name, member_id, stored_bytes)
  select caller.db_id, l.wal_name, caller.id, l.bytes
  from last_word l
  where l.status = 'local' and not l.is_refused
    -- It may have been drained, by another process, before this was delivered.
    and not exists (select from arch_copy c join arch_path_info p on p.id = c.path_id
                    where c.db_id = caller.db_id and c.wal_name = l.wal_name
                      and p.lost_time is null)
  on conflict (db_id, wal_name, member_id) where member_id is not null do nothing;

  return jsonb_build_object('version', version, 'conflicts',
    (select coalesce(jsonb_agg(o.outcome - 'outcome' order by position), '[]')
     from jsonb_array_elements(entries) with ordinality e (entry, position)
     join jsonb_array_elements(outcomes) with ordinality o (outcome, position) using (position)
     where o.outcome ->> 'outcome' = 'conflict' and not is_emptied(e.entry -> 'claim')));
end
$$;

-- As before, but without an active path nothing is claimed either: claims is null.
create or replace function pgarch.route(member uuid, credential text, claims jsonb default '[]')
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
  cluster arch_db_info;
  paths jsonb;
  outcomes jsonb;
begin
  select * into strict cluster from arch_db_info d where d.id = caller.db_id;
  perform require_active(cluster);
  -- A time yet to come was told by a clock that was wrong then.
  update arch_member m set last_seen = now()
  where m.id = caller.id
    and (m.last_seen between now() - interval '1 minute' and now()) is not true;

  select coalesce(jsonb_agg(describe_path(p, m.priority) order by m.priority desc, p.id), '[]')
  into paths
  from arch_path_map m join arch_path_info p on p.id = m.path_id
  where m.db_id = cluster.id and m.active_status and p.active_status and p.lost_time is null;

  if cluster.switch = 'start' and paths <> '[]' then
    outcomes := claim(caller, claims);
  end if;

  return jsonb_build_object(
    'fingerprint', cluster.id, 'clusterName', cluster.name, 'version', cluster.route_version,
    'switch', cluster.switch, 'switchReason', cluster.switch_reason,
    'switchAuthor', cluster.switch_author,
    'paths', paths, 'claims', outcomes);
end
$$;

-- As before, but a backup history file that a crash emptied is no conflict to settle.
create or replace function pgarch.claim(caller pgarch.arch_member, claims jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  outcomes jsonb;
begin
  insert into arch_file (db_id, wal_name, sha256, wal_size_bytes, history, member_id)
  select caller.db_id, c."walName", decode(c.sha256, 'hex'), c."walSize",
         decode(c.history, 'base64'), caller.id
  from jsonb_to_recordset(claims)
       as c ("walName" text, sha256 text, "walSize" bigint, history text)
  order by c."walName" collate "C"
  on conflict (db_id, wal_name) do nothing;

  insert into arch_conflict as k (db_id, wal_name, sha256, member_id)
  select distinct caller.db_id, f.wal_name, decode(c.sha256, 'hex'), caller.id
  from jsonb_to_recordset(claims) as c ("walName" text, sha256 text, "walSize" bigint)
  join arch_file f on f.db_id = caller.db_id and f.wal_name = c."walName"
  where f.sha256 <> decode(c.sha256, 'hex')
    and not is_emptied(to_jsonb(c))
  on conflict (db_id, wal_name, (coalesce(sha256, ''::bytea)), (coalesce(path_id, 0)))
    where resolved_time is null
  do update set last_seen = now(), times = k.times + 1, member_id = excluded.member_id;

  select coalesce(jsonb_agg(jsonb_build_object(
           'walName', c."walName",
           'outcome', case when f.sha256 = decode(c.sha256, 'hex') then 'claimed'
                           else 'conflict' end,
           'sha256', encode(f.sha256, 'hex'),
           'claimedBy', coalesce((select m.host from arch_member m where m.id = f.member_id),
                                 nullif(f.member_id::text, '00000000-0000-0000-0000-000000000000'),
                                 'nobody knows whom')) order by c.position), '[]')
  into outcomes
  from rows from (jsonb_to_recordset(claims) as ("walName" text, sha256 text))
       with ordinality as c ("walName", sha256, position)
  join arch_file f on f.db_id = caller.db_id and f.wal_name = c."walName";

  if jsonb_array_length(outcomes) <> jsonb_array_length(claims) then
    raise exception 'a claimed file was set aside at the same time'
      using errcode = 'serialization_failure';
  end if;
  return outcomes;
end
$$;

-- As before, and with it the names of lost paths, and of hosts with lost local archives, that had the
-- file, and the ids of the members whose local archives have it; clients from before read their hosts' names in localHosts.
create or replace function pgarch.locate(system_identifier numeric, cluster text, fingerprint uuid,
                                         wal_name text) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  found_cluster arch_db_info := find_cluster(system_identifier, cluster, fingerprint);
  wanted wal_file_name := wal_name;
begin
  return (
    with copy as (
      select c.path_id from arch_copy c
      where c.db_id = found_cluster.id and c.wal_name = wanted and c.path_id is not null
    ), path as (
      select p, coalesce(m.priority, 0) as priority, p.id in (select path_id from copy) as has_copy
      from (select path_id from copy
            union select path_id from arch_path_map where db_id = found_cluster.id) as candidate
      join arch_path_info p on p.id = candidate.path_id and p.lost_time is null
      left join arch_path_map m on m.db_id = found_cluster.id and m.path_id = p.id
    )
    select jsonb_build_object(
      'fingerprint', found_cluster.id, 'clusterName', found_cluster.name,
      'systemIdentifier', found_cluster.system_identifier::text,
      'walSegmentSize', found_cluster.wal_segment_size,
      'file', (select jsonb_build_object('sha256', encode(f.sha256, 'hex'),
                 'walSize', f.wal_size_bytes, 'history', encode(f.history, 'base64'))
               from arch_file f where f.db_id = found_cluster.id and f.wal_name = wanted),
      'paths', (select coalesce(jsonb_agg(describe_path(p, priority)
                                          || jsonb_build_object('hasCopy', has_copy)
                                          order by has_copy desc, priority desc, (p).id), '[]')
                from path),
      'lostPaths', (select coalesce(jsonb_agg(p.name order by p.id), '[]')
                    from copy join arch_path_info p on p.id = copy.path_id
                    where p.lost_time is not null),
      'localHosts', (select coalesce(jsonb_agg(distinct coalesce(m.host, c.member_id::text)), '[]')
                     from living_copy c left join arch_member m on m.id = c.member_id
                     where c.db_id = found_cluster.id and c.wal_name = wanted
                       and c.member_id is not null),
      'localMembers', (select coalesce(jsonb_agg(jsonb_build_object('memberId', c.member_id,
                                'host', coalesce(m.host, c.member_id::text))), '[]')
                       from living_copy c left join arch_member m on m.id = c.member_id
                       where c.db_id = found_cluster.id and c.wal_name = wanted
                         and c.member_id is not null),
      'lostHosts', (select coalesce(jsonb_agg(distinct coalesce(m.host, c.member_id::text)), '[]')
                    from arch_copy c
                    join arch_local_loss l on l.db_id = c.db_id and l.member_id = c.member_id
                                          and l.lost_time >= c.create_time
                    left join arch_member m on m.id = c.member_id
                    where c.db_id = found_cluster.id and c.wal_name = wanted
                      and c.member_id is not null),
      'dropped', exists (select from arch_gap g
                         where g.db_id = found_cluster.id and g.wal_name = wanted),
      'lostAPath', exists (select from arch_path_map m join arch_path_info p on p.id = m.path_id
                           where m.db_id = found_cluster.id and p.lost_time is not null),
      'asOfStandby', pg_is_in_recovery(),
      'namesakes', (select coalesce(jsonb_agg(d.name order by d.name, d.id), '[]')
                    from arch_db_info d
                    where cluster is null and d.system_identifier = found_cluster.system_identifier
                      and d.id <> found_cluster.id)));
end
$$;

revoke all on all functions in schema pgarch from public;
grant execute on function pgarch.deliver(uuid, text, jsonb) to pgarch_agent;

insert into pgarch.schema_version (version, name, oldest_client) values (4, 'reliability', 1);
