-- DNS holds where hosts are: ssh_ip and vip only record what the centre last saw of ssh_host and host.
-- To record it is nothing that 10,000 hosts must learn of.

set local role pgarch_admin;

-- The trigger stays: another one would lock every reader out while it is made. Ids are in order, as before.
create or replace function pgarch.path_changed() returns trigger
language plpgsql set search_path = pg_catalog, pgarch, pg_temp as $$
begin
  if (old.uuid, old.name, old.kind, coalesce(old.ssh_host, host(old.ssh_ip)), old.ssh_port,
      old.ssh_user, old.host_key, old.root_path, old.active_status, old.lost_time)
     is not distinct from
     (new.uuid, new.name, new.kind, coalesce(new.ssh_host, host(new.ssh_ip)), new.ssh_port,
      new.ssh_user, new.host_key, new.root_path, new.active_status, new.lost_time)
  then
    return null;
  end if;
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

insert into pgarch.schema_version (version, name, oldest_client) values (9, 'names', 1);
