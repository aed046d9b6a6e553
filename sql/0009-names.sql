-- DNS holds where hosts are: ssh_ip and vip only record what the centre last saw of ssh_host and host.
-- To record it is nothing that 10,000 hosts must learn of.

set local role pgarch_admin;

drop trigger path_changed on pgarch.arch_path_info;
create trigger path_changed after update on pgarch.arch_path_info
  for each row
  when ((old.uuid, old.name, old.kind, coalesce(old.ssh_host, pg_catalog.host(old.ssh_ip)),
         old.ssh_port, old.ssh_user, old.host_key, old.root_path, old.active_status, old.lost_time)
        is distinct from
        (new.uuid, new.name, new.kind, coalesce(new.ssh_host, pg_catalog.host(new.ssh_ip)),
         new.ssh_port, new.ssh_user, new.host_key, new.root_path, new.active_status, new.lost_time))
  execute function pgarch.path_changed();

insert into pgarch.schema_version (version, name, oldest_client) values (9, 'names', 1);
