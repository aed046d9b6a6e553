-- How far each cluster's WAL was shipped, record by record (docs/ship.md). Only adds, so that older
-- clients go on working.

set local role pgarch_admin;

create table pgarch.arch_shipping (
  db_id uuid primary key references pgarch.arch_db_info,
  member_id uuid not null,
  -- one process
  shipper uuid not null,
  timeline bigint not null check (timeline between 1 and 4294967295),
  -- on the path up to here; null: nothing yet
  shipped_lsn pg_lsn,
  -- how far the server was then
  flush_lsn pg_lsn,
  path_id int,
  -- when all was shipped, or shipping began
  caught_up_time timestamptz not null default now(),
  -- when the shipper was last heard of; in an idle cluster it has nothing to say
  told_time timestamptz not null default now(),
  -- until when no other shipper is let in; null: it has ended by itself
  lease_end timestamptz
);
grant select on pgarch.arch_shipping to pgarch_monitor;

-- Notes how far a shipper has come, if it is the cluster's: the first one, the one that has been so, one
-- of the same host, one on a later timeline, or any once the former was not heard of for a minute.
-- report: {shipper, timeline, shippedLsn, flushLsn, pathId, ended}
-- returns {holder: the host whose shipper is the cluster's, if it is another one; nothing was noted then,
--          version: the route's, histories: [{walName, history (base64)}] of all later timelines}
create function pgarch.shipped(member uuid, credential text, report jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  caller arch_member := authenticate(member, credential);
  cluster arch_db_info;
  holder text;
begin
  select * into strict cluster from arch_db_info d where d.id = caller.db_id;
  perform require_active(cluster);

  insert into arch_shipping as s (db_id, member_id, shipper, timeline, shipped_lsn, flush_lsn,
                                  path_id, lease_end)
  select caller.db_id, caller.id, r.shipper, r.timeline, r."shippedLsn", r."flushLsn", r."pathId",
         case when not r.ended then now() + interval '1 minute' end
  from jsonb_to_record(report) as r (shipper uuid, timeline bigint, "shippedLsn" pg_lsn,
                                     "flushLsn" pg_lsn, "pathId" int, ended boolean)
  on conflict (db_id) do update set
    member_id = excluded.member_id, shipper = excluded.shipper, timeline = excluded.timeline,
    shipped_lsn = coalesce(excluded.shipped_lsn, s.shipped_lsn),
    flush_lsn = coalesce(excluded.flush_lsn, s.flush_lsn),
    path_id = coalesce(excluded.path_id, s.path_id),
    caught_up_time = case when excluded.shipped_lsn = excluded.flush_lsn then now()
                          else s.caught_up_time end,
    told_time = now(), lease_end = excluded.lease_end
  where s.shipper = excluded.shipper or s.member_id = excluded.member_id
     or s.timeline < excluded.timeline or s.lease_end is null or s.lease_end < now();
  if not found then
    select coalesce(m.host, s.member_id::text) into holder
    from arch_shipping s left join arch_member m on m.id = s.member_id
    where s.db_id = caller.db_id;
  end if;

  return jsonb_build_object(
    'holder', holder, 'version', cluster.route_version,
    'histories', (select coalesce(jsonb_agg(jsonb_build_object(
                           'walName', f.wal_name, 'history', encode(f.history, 'base64'))), '[]')
                  from arch_file f
                  where f.db_id = caller.db_id and f.wal_name like '________.history'
                    and f.history is not null
                    and f.wal_name > lpad(upper(to_hex((report ->> 'timeline')::bigint)), 8, '0')
                                     || '.history'));
end
$$;

revoke all on all functions in schema pgarch from public;
grant execute on function pgarch.shipped(uuid, text, jsonb) to pgarch_agent;

insert into pgarch.schema_version (version, name, oldest_client) values (7, 'shipping', 1);
