-- All that a production host may do. It logs in as pgarch_agent, which has no right on any table;
-- these functions run with their owner's rights, and a member's credential says what it may write.
--
-- Their errors have SQLSTATE class PA, and messages and hints that are shown as they are:
--   PA001 unknown member or wrong credential    PA002 the cluster is retired
--   PA003 no such cluster                       PA004 several clusters fit

set local role pgarch_admin;

create function pgarch.schema_version(out version int, out oldest_client int)
language sql stable security definer set search_path = pg_catalog, pgarch, pg_temp as $$
  select max(v.version), max(v.oldest_client) from schema_version v
$$;

-- One message for both, so that nobody can ask which members there are.
create function pgarch.authenticate(member uuid, credential text) returns pgarch.arch_member
language plpgsql stable set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  found_member arch_member;
begin
  select * into found_member from arch_member m
  where m.id = member and m.credential_sha256 = sha256(convert_to(credential, 'UTF8'));
  if not found then
    raise exception 'the scheduling database does not know this membership'
      using errcode = 'PA001',
            hint = 'Run "pgarch register --member" on this host if it serves the same cluster, '
                   'or "pgarch register --new" if it is a cluster of its own.';
  end if;
  return found_member;
end
$$;

create function pgarch.require_active(cluster pgarch.arch_db_info) returns void
language plpgsql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  if not cluster.active_status then
    raise exception 'cluster "%" is retired', cluster.name
      using errcode = 'PA002',
            hint = 'Its files can still be fetched. Run "pgarch register" to archive as a new cluster.';
  end if;
end
$$;

create function pgarch.describe_path(path pgarch.arch_path_info, priority int) returns jsonb
language sql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
  select jsonb_build_object(
    'id', path.id, 'uuid', path.uuid, 'name', path.name, 'kind', path.kind,
    'sshHost', coalesce(path.ssh_host, host(path.ssh_ip)), 'sshPort', path.ssh_port,
    'sshUser', path.ssh_user, 'hostKey', path.host_key, 'rootPath', path.root_path,
    'priority', priority)
$$;

-- Where a file lies below a path's root.
create function pgarch.stored_name(db_id uuid, wal_name text) returns text
language sql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
  select db_id::text || case when wal_name like '%.history' then '/'
                             else '/' || left(wal_name, 16) || '/' end || wal_name || '.zst'
$$;

-- A month's partition of the log. Where it cannot be made at once, the default one takes the rows.
create function pgarch.make_log_partition(month timestamp) returns void
language plpgsql
set search_path = pg_catalog, pgarch, pg_temp set lock_timeout = '500ms' as $$
declare
  partition text := 'arch_remote_log_' || to_char(month, 'YYYY_MM');
begin
  perform pg_advisory_xact_lock(hashtextextended('pgarch.make_log_partition', 0));
  if to_regclass('pgarch.' || partition) is not null then
    return;
  end if;
  execute format('create table pgarch.%I (like pgarch.arch_remote_log'
                 ' including defaults including constraints)', partition);
  -- attach, not "partition of": that would lock out everybody who writes the log
  execute format('alter table pgarch.arch_remote_log attach partition pgarch.%I'
                 ' for values from (%L) to (%L)', partition,
                 month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
exception when lock_not_available or check_violation or duplicate_table or unique_violation then
  null;
end
$$;

-- The route, and in the same call the claim of files about to be archived: which content they have.
-- claims: [{walName, sha256 (hex), walSize, history (base64, or null)}]
-- returns {fingerprint, clusterName, version, switch, switchReason, switchAuthor, paths,
--          claims: [{walName, outcome: claimed | conflict, sha256, claimedBy}], or null if the
--          switch is not at start, as then nothing is claimed}
create function pgarch.route(member uuid, credential text, claims jsonb default '[]') returns jsonb
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
  cluster arch_db_info;
  outcomes jsonb;
begin
  select * into strict cluster from arch_db_info d where d.id = caller.db_id;
  perform require_active(cluster);
  update arch_member m set last_seen = now()
  where m.id = caller.id and (m.last_seen is null or m.last_seen < now() - interval '1 minute');

  if cluster.switch = 'start' then
    outcomes := claim(caller, claims);
  end if;

  return jsonb_build_object(
    'fingerprint', cluster.id, 'clusterName', cluster.name, 'version', cluster.route_version,
    'switch', cluster.switch, 'switchReason', cluster.switch_reason,
    'switchAuthor', cluster.switch_author,
    'paths', (select coalesce(jsonb_agg(describe_path(p, m.priority)
                                        order by m.priority desc, p.id), '[]')
              from arch_path_map m join arch_path_info p on p.id = m.path_id
              where m.db_id = cluster.id and m.active_status
                and p.active_status and p.lost_time is null),
    'claims', outcomes);
end
$$;

-- Of several callers with different content the unique key lets one win; the others wait for it
-- and then read, in a statement and so a snapshot of its own, what it claimed.
create function pgarch.claim(caller pgarch.arch_member, claims jsonb) returns jsonb
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
  from jsonb_to_recordset(claims) as c ("walName" text, sha256 text)
  join arch_file f on f.db_id = caller.db_id and f.wal_name = c."walName"
  where f.sha256 <> decode(c.sha256, 'hex')
  on conflict (db_id, wal_name, (coalesce(sha256, ''::bytea)), (coalesce(path_id, 0)))
    where resolved_time is null
  do update set last_seen = now(), times = k.times + 1, member_id = excluded.member_id;

  select coalesce(jsonb_agg(jsonb_build_object(
           'walName', c."walName",
           'outcome', case when f.sha256 = decode(c.sha256, 'hex') then 'claimed'
                           else 'conflict' end,
           'sha256', encode(f.sha256, 'hex'),
           'claimedBy', coalesce((select m.host from arch_member m where m.id = f.member_id),
                                 f.member_id::text)) order by c.position), '[]')
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

-- Notes WAL files that are dropped on purpose; false, and nothing noted, unless the switch is at
-- stop now. The lock makes "cluster start" wait, so that nothing is dropped after it returned.
-- files: [{walName, walSize}]
create function pgarch.drop_wal(member uuid, credential text, files jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
  cluster arch_db_info;
begin
  select * into strict cluster from arch_db_info d where d.id = caller.db_id for share;
  perform require_active(cluster);
  if cluster.switch <> 'stop' then
    return false;
  end if;
  insert into arch_gap (db_id, wal_name, wal_size_bytes, member_id, switch_reason, switch_author)
  select caller.db_id, g."walName", g."walSize", caller.id,
         cluster.switch_reason, cluster.switch_author
  from jsonb_to_recordset(files) as g ("walName" text, "walSize" bigint)
  where not exists (select from arch_copy c
                    where c.db_id = caller.db_id and c.wal_name = g."walName"
                      and c.path_id is not null)
  order by g."walName" collate "C"
  on conflict do nothing;
  return true;
end
$$;

-- Records tries to store files on paths; an event delivered twice counts once. Also for a retired
-- cluster, because what was stored is there. Returns the route's version.
-- events: [{eventId, walName, walSize, pathId, status: stored | already-stored | conflict | failed,
--           storedBytes, durationMilliseconds, error, time}]
create function pgarch.record(member uuid, credential text, events jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
  earliest timestamptz := now() - interval '1 year';
  latest timestamptz := now() + interval '1 day';
  fresh uuid[];
  month timestamp;
begin
  -- The next month's too, so that a month seldom begins without its partition.
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

  -- The key of the log has create_time in it, which for an absurd time differs at each delivery.
  if exists (select from jsonb_to_recordset(events) as e (time timestamptz)
             where (e.time between earliest and latest) is not true) then
    perform pg_advisory_xact_lock(hashtextextended('pgarch.record ' || caller.id, 0));
  end if;

  with logged as (
    insert into arch_remote_log as l
      (db_id, event_id, member_id, wal_name, path_id, ssh_ip, ssh_port, ssh_user, full_path,
       wal_size_bytes, stored_bytes, duration, status, error, create_time, host_time)
    select caller.db_id, e."eventId", caller.id, e."walName", e."pathId", p.ssh_ip, p.ssh_port,
           p.ssh_user, rtrim(p.root_path, '/') || '/' || stored_name(caller.db_id, e."walName"),
           e."walSize", e."storedBytes", e."durationMilliseconds" * interval '1 millisecond',
           e.status in ('stored', 'already-stored'), e.error,
           case when plausible then e.time else now() end,
           case when not plausible then e.time end
    from jsonb_to_recordset(events)
         as e ("eventId" uuid, "walName" text, "walSize" bigint, "pathId" int, status text,
               "storedBytes" bigint, "durationMilliseconds" float8, error text, time timestamptz)
    cross join lateral (select (e.time between earliest and latest) is true) as t (plausible)
    left join arch_path_info p on p.id = e."pathId"
    where plausible or not exists (select from arch_remote_log known
                                   where known.db_id = caller.db_id
                                     and known.event_id = e."eventId")
    on conflict do nothing
    returning l.event_id, l.wal_name, l.status, l.error, l.create_time
  ), batch as (
    select max(create_time) filter (where status) as archived_time,
           (array_agg(wal_name order by create_time desc) filter (where status))[1] as archived,
           max(create_time) filter (where not status) as failure_time,
           (array_agg(error order by create_time desc) filter (where not status))[1] as error,
           array_agg(create_time) filter (where not status) as failed,
           array_agg(event_id) as event_ids
    from logged
  ), status as (
    insert into arch_db_status as s
      (db_id, last_wal_name, last_archived_time, failures, last_failure_time, last_error)
    select caller.db_id, archived, archived_time,
           (select count(*) from unnest(failed) as f (moment)
            where f.moment > coalesce(archived_time, '-infinity')),
           failure_time, error
    from batch where event_ids is not null
    on conflict (db_id) do update set
      (last_wal_name, last_archived_time, failures, last_failure_time, last_error) = (
        select case when later then b.archived else s.last_wal_name end,
               greatest(b.archived_time, s.last_archived_time),
               case when later then 0 else s.failures end
                 + (select count(*) from unnest(b.failed) as f (moment)
                    where f.moment > coalesce(greatest(b.archived_time, s.last_archived_time),
                                          '-infinity')),
               greatest(b.failure_time, s.last_failure_time),
               case when b.failure_time >= coalesce(s.last_failure_time, '-infinity')
                    then b.error else s.last_error end
        from batch b, lateral (select b.archived_time is not null and b.archived_time
                                 >= coalesce(s.last_archived_time, '-infinity')) as t (later))
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

-- Which cluster a host that restores means: by name or fingerprint as given, else by membership,
-- else by system identifier alone. A name means the cluster that is not retired. Of several with
-- this identifier it is the only one that is not retired, if all others are its predecessors; else
-- nobody can tell. Without a system identifier, a name is enough.
create function pgarch.find_cluster(system_identifier numeric, cluster text, fingerprint uuid)
returns pgarch.arch_db_info
language plpgsql stable set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  candidates arch_db_info[];
  predecessors uuid[];
  chosen arch_db_info;
begin
  if cluster is not null then
    candidates := array(select d from arch_db_info d where d.name = cluster or d.id::text = cluster
                        order by d.active_status desc, d.id);
  elsif fingerprint is not null then
    candidates := array(select d from arch_db_info d where d.id = fingerprint);
  else
    candidates := array(select d from arch_db_info d
                        where d.system_identifier = find_cluster.system_identifier
                        order by d.active_status desc, d.id);
  end if;
  if cardinality(candidates) = 0 then
    raise exception 'the scheduling database knows no cluster %',
      case when cluster is not null then format('"%s"', cluster)
           when fingerprint is not null then 'with fingerprint ' || fingerprint
           else 'with system identifier ' || system_identifier end
      using errcode = 'PA003', hint = 'See "pgarch cluster list".';
  end if;
  if cluster is not null or fingerprint is not null then
    chosen := candidates[1];
    candidates := array(select c from unnest(candidates) c
                        where c.system_identifier
                              = coalesce(find_cluster.system_identifier, c.system_identifier));
    if cardinality(candidates) = 0 then
      raise exception 'cluster "%" has system identifier %, but the data directory has %',
        chosen.name, chosen.system_identifier, system_identifier
        using errcode = 'PA003',
              hint = 'Name the cluster that the data directory is a copy of with --cluster.';
    end if;
  end if;

  chosen := candidates[1];
  if cardinality(candidates) > 1 and not (chosen.active_status and cluster is not null) then
    with recursive chain as (
      select chosen.previous_id as id
      union select d.previous_id from chain join arch_db_info d on d.id = chain.id
    )
    select array_agg(chain.id) into predecessors from chain where chain.id is not null;
    if not chosen.active_status
       or exists (select from unnest(candidates) c
                  where c.id <> chosen.id
                    and (c.active_status or c.id <> all (coalesce(predecessors, '{}'))))
    then
      raise exception 'several clusters have system identifier %', chosen.system_identifier
        using errcode = 'PA004',
              hint = 'Say which with --cluster and its name or fingerprint: '
                     || (select string_agg(format('%s (%s%s)', c.name, c.id,
                                case when not c.active_status then ', retired' else '' end), ', '
                                order by c.active_status desc, c.name, c.id)
                         from unnest(candidates) c) || '.';
    end if;
  end if;
  return chosen;
end
$$;

-- Where one WAL file is, and every path of its cluster that could hold it: disabled ones too, but
-- not lost ones. Writes nothing, so that a standby of the scheduling database can answer.
create function pgarch.locate(system_identifier numeric, cluster text, fingerprint uuid,
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
      'localHosts', (select coalesce(jsonb_agg(distinct coalesce(m.host, c.member_id::text)), '[]')
                     from arch_copy c left join arch_member m on m.id = c.member_id
                     where c.db_id = found_cluster.id and c.wal_name = wanted
                       and c.member_id is not null),
      'dropped', exists (select from arch_gap g
                         where g.db_id = found_cluster.id and g.wal_name = wanted)));
end
$$;

revoke all on all functions in schema pgarch from public;
grant execute on function pgarch.schema_version() to pgarch_agent, pgarch_monitor;
grant execute on function
  pgarch.route(uuid, text, jsonb),
  pgarch.drop_wal(uuid, text, jsonb),
  pgarch.record(uuid, text, jsonb),
  pgarch.locate(numeric, text, uuid, text)
to pgarch_agent;

select pgarch.make_log_partition(date_trunc('month', now() at time zone 'UTC'));
select pgarch.make_log_partition(date_trunc('month', (now() + interval '1 month') at time zone 'UTC'));

insert into pgarch.schema_version (version, name, oldest_client) values (3, 'agent-functions', 1);
