-- The scheduling database: roles and tables. PostgreSQL 13 or later.
-- Run by a superuser, or by a database owner with CREATEROLE.

-- Roles belong to the whole server, so an init in another database may be making them right now.
do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values ('pgarch_admin', 'nologin'),
                          ('pgarch_monitor', 'nologin'),
                          ('pgarch_agent', 'login')) as role (name, login)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      begin
        execute pg_catalog.format('create role %I %s', wanted.name, wanted.login);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;

  -- Since PostgreSQL 16 who creates a role is a member of it who may not yet "set role" to it.
  if not pg_catalog.pg_has_role(current_user, 'pgarch_admin',
    case when pg_catalog.current_setting('server_version_num')::int < 160000 then 'member'
         else 'set' end)
  then
    begin
      grant pgarch_admin to current_user;
    exception when unique_violation or internal_error then
      null; -- granted at the same time by an init in another database
    end;
  end if;
end
$$;

create schema pgarch authorization pgarch_admin;
set local role pgarch_admin;
grant usage on schema pgarch to pgarch_monitor, pgarch_agent;

create table pgarch.schema_version (
  version int primary key,
  name text not null,
  -- a client works if it knows a version from here on, up to the one installed
  oldest_client int not null,
  applied_time timestamptz not null default now()
);

create domain pgarch.wal_file_name as text collate "C"
  check (value ~ '^([0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history)$');

create domain pgarch.sha256_digest as bytea check (octet_length(value) = 32);

create table pgarch.arch_db_info (
  id uuid primary key default gen_random_uuid(),
  name text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  idc text,
  platform text,
  software text not null default 'postgresql',
  version text,
  host text,
  vip inet,
  port int check (port between 1 and 65535),
  -- unsigned 64 bits
  system_identifier numeric(20) not null
    check (system_identifier between 0 and 18446744073709551615),
  wal_segment_size int not null
    check (wal_segment_size between 1048576 and 1073741824
           and (wal_segment_size & (wal_segment_size - 1)) = 0),
  switch text not null default 'start' check (switch in ('start', 'pause', 'stop')),
  switch_reason text,
  switch_author text,
  switch_time timestamptz,
  previous_id uuid references pgarch.arch_db_info,
  route_version bigint not null default 1,
  active_status boolean not null default true,
  create_time timestamptz not null default now(),
  modify_time timestamptz not null default now()
);
create unique index arch_db_info_name_key on pgarch.arch_db_info (name) where active_status;
create unique index arch_db_info_address_key on pgarch.arch_db_info (idc, vip, port)
  where active_status;
create index arch_db_info_system_identifier on pgarch.arch_db_info (system_identifier);
create index arch_db_info_previous_id on pgarch.arch_db_info (previous_id)
  where previous_id is not null;

create table pgarch.arch_path_info (
  id int generated always as identity primary key,
  -- what the file pgarch-path at the root carries
  uuid uuid not null default gen_random_uuid() unique,
  name text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  kind text not null check (kind in ('sftp', 'local')),
  ssh_ip inet,
  ssh_host text,
  ssh_port int check (ssh_port between 1 and 65535),
  ssh_user text,
  host_key text,
  root_path text not null check (root_path like '/%'),
  capacity_bytes bigint,
  lost_time timestamptz,
  active_status boolean not null default true,
  create_time timestamptz not null default now(),
  modify_time timestamptz not null default now(),
  constraint arch_path_info_address_check check (
    case kind
      when 'sftp' then num_nonnulls(ssh_ip, ssh_host) >= 1
                       and num_nulls(ssh_port, ssh_user, host_key) = 0
      else num_nonnulls(ssh_ip, ssh_host, ssh_port, ssh_user, host_key) = 0
    end)
);
-- A path that was lost for good may have a successor of the same name at the same place.
create unique index arch_path_info_name_key on pgarch.arch_path_info (name)
  where lost_time is null;
create unique index arch_path_info_ip_key on pgarch.arch_path_info (ssh_ip, ssh_port, root_path)
  where lost_time is null;
create unique index arch_path_info_host_key on pgarch.arch_path_info (ssh_host, ssh_port, root_path)
  where lost_time is null;

create table pgarch.arch_path_map (
  id bigint generated always as identity primary key,
  db_id uuid not null references pgarch.arch_db_info,
  path_id int not null references pgarch.arch_path_info,
  priority int not null,
  active_status boolean not null default true,
  create_time timestamptz not null default now(),
  modify_time timestamptz not null default now(),
  unique (db_id, path_id)
);
create index arch_path_map_path_id on pgarch.arch_path_map (path_id);

-- Deleting a row revokes the credential; what the member did is kept elsewhere by its id.
create table pgarch.arch_member (
  id uuid primary key default gen_random_uuid(),
  db_id uuid not null references pgarch.arch_db_info,
  host text not null,
  data_directory text not null,
  credential_sha256 pgarch.sha256_digest not null,
  enrolled timestamptz not null default now(),
  last_seen timestamptz
) with (fillfactor = 80);
create index arch_member_db_id on pgarch.arch_member (db_id);

-- What exists: the one content each WAL file of a cluster may have. Never updated.
create table pgarch.arch_file (
  db_id uuid not null references pgarch.arch_db_info,
  wal_name pgarch.wal_file_name not null,
  sha256 pgarch.sha256_digest not null,
  wal_size_bytes bigint not null check (wal_size_bytes >= 0),
  -- a timeline history file's bytes, so that it can be answered while the paths are down
  history bytea check (history is null or wal_name like '%.history'
                       and pg_catalog.sha256(history) = sha256),
  member_id uuid not null,
  create_time timestamptz not null default now(),
  primary key (db_id, wal_name)
);

-- Where it is now: on a path, or in a member's local archive. Without a foreign key to arch_file,
-- because what was stored must be recorded whatever else went wrong.
create table pgarch.arch_copy (
  db_id uuid not null references pgarch.arch_db_info,
  wal_name pgarch.wal_file_name not null,
  path_id int references pgarch.arch_path_info,
  member_id uuid,
  stored_bytes bigint,
  create_time timestamptz not null default now(),
  constraint arch_copy_place_check check (num_nonnulls(path_id, member_id) = 1)
) with (fillfactor = 95);
create unique index arch_copy_path_key on pgarch.arch_copy (db_id, wal_name, path_id)
  where path_id is not null;
create unique index arch_copy_member_key on pgarch.arch_copy (db_id, wal_name, member_id)
  where member_id is not null;
create index arch_copy_path_id on pgarch.arch_copy (path_id, db_id) where path_id is not null;

-- Other content than the claimed one: refused. path_id is null when it was met at the claim.
create table pgarch.arch_conflict (
  id bigint generated always as identity primary key,
  db_id uuid not null references pgarch.arch_db_info,
  wal_name pgarch.wal_file_name not null,
  sha256 pgarch.sha256_digest,
  path_id int,
  member_id uuid not null,
  first_seen timestamptz not null default now(),
  last_seen timestamptz not null default now(),
  times bigint not null default 1,
  resolved_time timestamptz,
  resolved_by text,
  reason text
) with (fillfactor = 70);
create unique index arch_conflict_open_key
  on pgarch.arch_conflict (db_id, wal_name, (coalesce(sha256, ''::bytea)), (coalesce(path_id, 0)))
  where resolved_time is null;

-- WAL that was dropped on purpose, while the cluster's switch was at stop.
create table pgarch.arch_gap (
  db_id uuid not null references pgarch.arch_db_info,
  wal_name pgarch.wal_file_name not null,
  wal_size_bytes bigint not null,
  member_id uuid not null,
  switch_reason text,
  switch_author text,
  create_time timestamptz not null default now(),
  primary key (db_id, wal_name)
);

-- One row a cluster, kept up to date by record(), so that status reads no log.
create table pgarch.arch_db_status (
  db_id uuid primary key references pgarch.arch_db_info,
  last_wal_name pgarch.wal_file_name,
  last_archived_time timestamptz,
  failures bigint not null default 0,
  last_failure_time timestamptz,
  last_error text
) with (fillfactor = 50);

-- What happened: append-only, one partition a month (UTC).
create table pgarch.arch_remote_log (
  db_id uuid not null,
  event_id uuid not null,
  member_id uuid not null,
  wal_name pgarch.wal_file_name not null,
  path_id int not null,
  ssh_ip inet,
  ssh_port int,
  ssh_user text,
  full_path text,
  wal_size_bytes bigint,
  stored_bytes bigint,
  duration interval,
  status boolean not null,
  error text,
  create_time timestamptz not null,
  -- what the host's clock said, where that was absurd; create_time is then when it was recorded
  host_time timestamptz,
  primary key (db_id, event_id, create_time)
) partition by range (create_time);
create index arch_remote_log_time on pgarch.arch_remote_log (create_time);
create index arch_remote_log_db_time on pgarch.arch_remote_log (db_id, create_time);
create index arch_remote_log_failed on pgarch.arch_remote_log (db_id, create_time)
  where not status;
create table pgarch.arch_remote_log_default partition of pgarch.arch_remote_log default;

-- The same for files that went to a member's local archive.
create table pgarch.arch_local_log (
  db_id uuid not null references pgarch.arch_db_info,
  event_id uuid not null,
  member_id uuid not null,
  wal_name pgarch.wal_file_name not null,
  full_path text not null,
  wal_size_bytes bigint not null,
  status boolean not null,
  create_time timestamptz not null,
  primary key (db_id, event_id)
);
create index arch_local_log_db_time on pgarch.arch_local_log (db_id, create_time);

grant select on all tables in schema pgarch to pgarch_monitor;
revoke select on pgarch.arch_member from pgarch_monitor;
grant select (id, db_id, host, data_directory, enrolled, last_seen)
  on pgarch.arch_member to pgarch_monitor;

insert into pgarch.schema_version (version, name, oldest_client) values (1, 'tables', 1);
