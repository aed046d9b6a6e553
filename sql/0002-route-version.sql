-- arch_db_info.route_version grows with every change that a host must learn of.

set local role pgarch_admin;

create function pgarch.set_modify_time() returns trigger
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  new.modify_time := now();
  return new;
end
$$;

create function pgarch.cluster_changed() returns trigger
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  new.modify_time := now();
  new.route_version := old.route_version + 1;
  return new;
end
$$;

create function pgarch.path_map_changed() returns trigger
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  if tg_op <> 'INSERT' then
    update arch_db_info set route_version = route_version + 1 where id = old.db_id;
  end if;
  if tg_op = 'INSERT' or tg_op = 'UPDATE' and new.db_id <> old.db_id then
    update arch_db_info set route_version = route_version + 1 where id = new.db_id;
  end if;
  return null;
end
$$;

-- In the order of ids, so that two changed paths of the same clusters cannot deadlock.
create function pgarch.path_changed() returns trigger
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  with served as (
    select d.id
    from arch_path_map m join arch_db_info d on d.id = m.db_id
    where m.path_id = new.id
    order by d.id
    for no key update of d
  )
  update arch_db_info d set route_version = d.route_version + 1
  from served where d.id = served.id;
  return null;
end
$$;

create trigger cluster_changed before update on pgarch.arch_db_info
  for each row
  when ((old.name, old.switch, old.switch_reason, old.switch_author, old.active_status)
        is distinct from
        (new.name, new.switch, new.switch_reason, new.switch_author, new.active_status))
  execute function pgarch.cluster_changed();

create trigger cluster_modified before update on pgarch.arch_db_info
  for each row
  when ((old.idc, old.platform, old.software, old.version, old.host, old.vip, old.port)
        is distinct from
        (new.idc, new.platform, new.software, new.version, new.host, new.vip, new.port))
  execute function pgarch.set_modify_time();

create trigger path_map_modified before update on pgarch.arch_path_map
  for each row when (old.* is distinct from new.*) execute function pgarch.set_modify_time();

create trigger path_map_inserted_or_deleted after insert or delete on pgarch.arch_path_map
  for each row execute function pgarch.path_map_changed();

create trigger path_map_updated after update on pgarch.arch_path_map
  for each row
  when ((old.db_id, old.path_id, old.priority, old.active_status)
        is distinct from (new.db_id, new.path_id, new.priority, new.active_status))
  execute function pgarch.path_map_changed();

create trigger path_modified before update on pgarch.arch_path_info
  for each row when (old.* is distinct from new.*) execute function pgarch.set_modify_time();

create trigger path_changed after update on pgarch.arch_path_info
  for each row
  when ((old.uuid, old.name, old.kind, old.ssh_ip, old.ssh_host, old.ssh_port, old.ssh_user,
         old.host_key, old.root_path, old.active_status, old.lost_time)
        is distinct from
        (new.uuid, new.name, new.kind, new.ssh_ip, new.ssh_host, new.ssh_port, new.ssh_user,
         new.host_key, new.root_path, new.active_status, new.lost_time))
  execute function pgarch.path_changed();

revoke all on all functions in schema pgarch from public;

insert into pgarch.schema_version (version, name, oldest_client) values (2, 'route-version', 1);
