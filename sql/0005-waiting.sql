-- What a fetch that waits for WAL needs: it is woken when files arrive, and learns how old they are.

set local role pgarch_admin;

-- By this lock who archives learns whether anybody waits. The server writes the commits of transactions
-- that notify one after another, each with its own fsync, and most clusters have nobody who waits.
create function pgarch.waiting_key(cluster uuid) returns bigint
language sql immutable set search_path = pg_catalog, pgarch, pg_temp as $$
  select hashtextextended('pgarch.wait_for_copies ' || cluster, 0)
$$;

-- Makes this session hear of the cluster's new copies, on the channel "pgarch_" and its fingerprint. A
-- copy whose transaction has not committed by then may not be told of: false then, ask again later.
create function pgarch.wait_for_copies(cluster uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  execute format('listen %I', 'pgarch_' || cluster);
  return pg_try_advisory_lock_shared(waiting_key(cluster));
end
$$;

-- One notification for a statement, however many copies it makes. Whoever begins to wait cannot get the
-- lock before this transaction is over, and then sees the copies.
create function pgarch.copies_made() returns trigger
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
declare
  cluster uuid;
begin
  for cluster in select distinct m.db_id from made m where m.path_id is not null loop
    if not pg_try_advisory_xact_lock(waiting_key(cluster)) then
      perform pg_notify('pgarch_' || cluster, '');
    end if;
  end loop;
  return null;
end
$$;

create trigger copies_made after insert on pgarch.arch_copy
  referencing new table as made
  for each statement execute function pgarch.copies_made();

-- Seconds since the file was claimed, which is when it was archived; null: it was not, as far as is
-- known here. By this server's clock alone, as others may be wrong.
create function pgarch.archived_age(cluster uuid, wal_name text) returns double precision
language sql stable security definer set search_path = pg_catalog, pgarch, pg_temp as $$
  select extract(epoch from clock_timestamp() - f.create_time)::float8
  from arch_file f where f.db_id = cluster and f.wal_name = $2
$$;

revoke all on all functions in schema pgarch from public;
grant execute on function pgarch.wait_for_copies(uuid), pgarch.archived_age(uuid, text)
to pgarch_agent;

insert into pgarch.schema_version (version, name, oldest_client) values (5, 'waiting', 1);
