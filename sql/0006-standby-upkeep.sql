-- What a standby's host needs: the clean-up of its own archive directory, and what is archived beyond
-- what it has replayed. Only adds, so that older clients go on working.

set local role pgarch_admin;

-- A segment that a clean-up took from a path. Without foreign keys to the path, which may go meanwhile.
create table pgarch.arch_cleaned (
  db_id uuid not null references pgarch.arch_db_info,
  wal_name pgarch.wal_file_name not null check (wal_name ~ '^[0-9A-F]{24}(\.partial)?$'),
  path_id int not null,
  member_id uuid not null,
  create_time timestamptz not null default now(),
  primary key (db_id, wal_name, path_id)
);

-- One row for each path that is cleaned, kept up to date by clean_up(), so that status counts no rows.
create table pgarch.arch_cleanup (
  db_id uuid not null references pgarch.arch_db_info,
  path_id int not null,
  member_id uuid not null,
  -- the first segment that was kept the last time
  kept_from text not null,
  files bigint not null,
  clean_time timestamptz not null default now(),
  primary key (db_id, path_id)
) with (fillfactor = 50);
grant select on pgarch.arch_cleaned, pgarch.arch_cleanup to pgarch_monitor;

-- Of a segment's name, or a partial segment's: its place in the WAL, whatever its timeline. Null for
-- every other file.
create function pgarch.wal_place(wal_name text) returns text
language sql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
  select case when wal_name ~ '^[0-9A-F]{24}(\.partial)?$' then substr(wal_name, 9, 16) end
              collate "C"
$$;

-- A path that the member's cluster uses, by name; whether other clusters use it too; and the segments
-- before kept_from that are recorded there. Null: the cluster uses no such path.
-- returns {path, isShared, recorded: [walName]}
create function pgarch.cleanup_scope(member uuid, credential text, path_name text, kept_from text)
returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
begin
  return (
    select jsonb_build_object(
      'path', describe_path(p, 0),
      'isShared',
        exists (select from arch_path_map m where m.path_id = p.id and m.db_id <> caller.db_id)
        or exists (select from arch_copy c where c.path_id = p.id and c.db_id <> caller.db_id),
      'recorded',
        (select coalesce(jsonb_agg(c.wal_name order by c.wal_name), '[]')
         from arch_copy c
         where c.path_id = p.id and c.db_id = caller.db_id
           and wal_place(c.wal_name) < wal_place(kept_from)))
    from arch_path_info p
    where p.name = path_name and p.lost_time is null
      and (exists (select from arch_path_map m where m.path_id = p.id and m.db_id = caller.db_id)
           or exists (select from arch_copy c where c.path_id = p.id and c.db_id = caller.db_id)));
end
$$;

-- Notes that these segments are about to be removed from a path: it no longer counts for having them.
-- Whatever is no segment, or not before kept_from, stays. Also for a retired cluster.
-- wal_names: [walName]
create function pgarch.clean_up(member uuid, credential text, path_id int, kept_from text,
                                wal_names jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
  wanted text[] := array(select w from jsonb_array_elements_text(wal_names) w
                         where wal_place(w) < wal_place(clean_up.kept_from) order by w collate "C");
  fresh bigint;
begin
  -- In the order in which record and a rebuild take them.
  perform from arch_copy c
  where c.db_id = caller.db_id and c.wal_name = any (wanted) and c.path_id = clean_up.path_id
  order by c.wal_name for update;
  delete from arch_copy c
  where c.db_id = caller.db_id and c.wal_name = any (wanted) and c.path_id = clean_up.path_id;

  with cleaned as (
    insert into arch_cleaned (db_id, wal_name, path_id, member_id)
    select caller.db_id, w, clean_up.path_id, caller.id from unnest(wanted) w
    on conflict do nothing
    returning 1
  )
  select count(*) into fresh from cleaned;

  insert into arch_cleanup as k (db_id, path_id, member_id, kept_from, files)
  values (caller.db_id, clean_up.path_id, caller.id, clean_up.kept_from, fresh)
  on conflict on constraint arch_cleanup_pkey do update
    set member_id = excluded.member_id, kept_from = excluded.kept_from,
        files = k.files + excluded.files, clean_time = now();
end
$$;

-- As before, and with it the names of paths from which a clean-up took the file.
alter function pgarch.locate(numeric, text, uuid, text) rename to locate_copies;
revoke all on function pgarch.locate_copies(numeric, text, uuid, text) from pgarch_agent;

create function pgarch.locate(system_identifier numeric, cluster text, fingerprint uuid,
                              wal_name text) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  answer jsonb := locate_copies(system_identifier, cluster, fingerprint, wal_name);
begin
  return answer || jsonb_build_object('cleanedPaths',
    (select coalesce(jsonb_agg(coalesce(p.name, 'number ' || c.path_id) order by c.path_id), '[]')
     from arch_cleaned c left join arch_path_info p on p.id = c.path_id
     where c.db_id = (answer ->> 'fingerprint')::uuid and c.wal_name = locate.wal_name));
end
$$;

create function pgarch.hex_number(digits text) returns bigint
language sql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
  select ('x' || lpad(digits, 16, '0'))::bit(64)::bigint
$$;

create function pgarch.hex_digits(number bigint) returns text
language sql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
  select upper(lpad(to_hex(number), 8, '0'))
$$;

-- What is archived, up to the last segment of the newest timeline, and what of it comes after a segment,
-- which is being replayed. Writes nothing, so that a standby of the scheduling database can answer.
-- returns {clusterName, last: {walName, time}, or null, archived, missing, firstMissing}
--   archived, missing: how many segments after the given one; null without it, or without a last one
create function pgarch.archived_after(system_identifier numeric, cluster text, fingerprint uuid,
                                      wal_name text) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  found_cluster arch_db_info := find_cluster(system_identifier, cluster, fingerprint);
  per_log bigint := 4294967296 / found_cluster.wal_segment_size;
  newest arch_file;
  archived bigint;
  missing bigint;
  first_missing text;
begin
  select f.* into newest from arch_file f
  where f.db_id = found_cluster.id and f.wal_name ~ '^[0-9A-F]{24}$'
    and exists (select from living_copy c
                where c.db_id = f.db_id and c.wal_name = f.wal_name)
  order by f.wal_name desc limit 1;

  if newest.wal_name is not null and wal_place(archived_after.wal_name) is not null then
    with numbered as (
      select hex_number(left(name, 8)) as timeline,
             hex_number(substr(name, 9, 8)) * per_log + hex_number(substr(name, 17, 8)) as number
      from unnest(array[archived_after.wal_name, newest.wal_name::text]) name
    ), bounds as (
      select min(timeline) as first_timeline, max(timeline) as last_timeline,
             (array_agg(number))[1] as replayed, (array_agg(number))[2] as last
      from numbered
    ), expected as (
      select s.number, hex_digits(s.number / per_log) || hex_digits(s.number % per_log) as place,
             b.first_timeline, b.last_timeline
      from bounds b, generate_series(b.replayed + 1, b.last) s (number)
    ), looked as (
      select e.number, hex_digits(e.last_timeline) || e.place as name,
             exists (select from generate_series(e.first_timeline, e.last_timeline) t (timeline)
                     join living_copy c on c.db_id = found_cluster.id
                                       and c.wal_name = hex_digits(t.timeline) || e.place) as known
      from expected e
    )
    select count(*) filter (where l.known), count(*) filter (where not l.known),
           (array_agg(l.name order by l.number) filter (where not l.known))[1]
    into archived, missing, first_missing
    from looked l;
  end if;

  return jsonb_build_object(
    'clusterName', found_cluster.name,
    'last', case when newest.wal_name is not null
                 then jsonb_build_object('walName', newest.wal_name, 'time', newest.create_time) end,
    'archived', archived, 'missing', missing, 'firstMissing', first_missing);
end
$$;

revoke all on all functions in schema pgarch from public;
grant execute on function
  pgarch.cleanup_scope(uuid, text, text, text),
  pgarch.clean_up(uuid, text, int, text, jsonb),
  pgarch.locate(numeric, text, uuid, text),
  pgarch.archived_after(numeric, text, uuid, text)
to pgarch_agent;

insert into pgarch.schema_version (version, name, oldest_client) values (6, 'standby-upkeep', 1);
