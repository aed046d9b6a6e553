import type { PathDescription } from './store.ts'

/**
 * A host's local archive as a path: below the configured directory each member has a folder of its own,
 * so that data directories of one host, and users, can share the setting.
 */
export function localArchivePath(
  { directory, uuid }: { readonly directory: string; readonly uuid: string },
  reserveBytes: number,
): PathDescription {
  return {
    id: 0, // no row of arch_path_info has it
    uuid,
    name: 'local archive',
    kind: 'local',
    sshHost: null,
    sshPort: null,
    sshUser: null,
    hostKey: null,
    rootPath: `${directory.replace(/\/+$/, '')}/${uuid}`,
    reserveBytes,
  }
}
