import type { Command } from 'commander'
import type { AcceptHostKey } from '../archive/paths.ts'
import type { ArchivePath } from '../schedule/paths.ts'
import type { Probe } from '../stores/store.ts'
import { type Act, asAdmin } from './command.ts'
import { declareLost } from './lost-path.ts'
import { byteSize } from './options.ts'

interface PlaceOptions {
  readonly ssh?: string
  readonly hostKey?: string
  readonly capacity?: number
  readonly reserve?: number
  readonly adopt?: true
}

export function declare(program: Command, act: Act): void {
  const path = program.command('path').description('the archive paths: where files can go')
  path
    .command('add')
    .description('add a path: it is proved fit, marked with the file pgarch-path, and saved')
    .argument('<name>')
    .requiredOption('--root <dir>', 'absolute directory, there already, and writable')
    .option('--ssh <address>', 'USER@HOST[:PORT] of its SFTP server; a local directory without')
    .option('--host-key <key>', '"ssh-ed25519 AAAA.." or "SHA256:.."; asked for on a terminal')
    .option('--capacity <size>', 'what it is meant to hold, such as 2TB; for reports', byteSize)
    .option('--reserve <size>', 'what push leaves free there (64MB); 0B: nothing', byteSize)
    .option('--adopt', 'it was a path of a scheduling database that is lost, and becomes it again')
    .action(act(add))
  path.command('list').description('list all paths').option('--json', 'as JSON').action(act(list))
  path
    .command('show')
    .description('show one path')
    .argument('<name>')
    .option('--json', 'as JSON')
    .action(act(show))
  path
    .command('set')
    .description('change how a path is reached; it must be the same path there, by its pgarch-path')
    .argument('<name>')
    .option('--root <dir>', 'absolute directory')
    .option('--ssh <address>', 'USER@HOST[:PORT]')
    .option('--host-key <key>', 'the new host key, as with add')
    .option('--capacity <size>', 'what it is meant to hold; for reports', byteSize)
    .option('--reserve <size>', 'what push leaves free there; 0B: nothing', byteSize)
    .option('--rename <name>', 'its new name')
    .action(act(set))
  path
    .command('enable')
    .description('let files go there again')
    .argument('<name>')
    .action(act((name: string, _: object, command: Command) => setActive(name, true, command)))
  path
    .command('disable')
    .description('let no more files go there; what it holds is still fetched')
    .argument('<name>')
    .action(act((name: string, _: object, command: Command) => setActive(name, false, command)))
  path
    .command('test')
    .description(
      'prove again that a path is fit, from this host, and keep what was found for check',
    )
    .argument('<name>')
    .action(act(test))
  path
    .command('remove')
    .description('remove a path that holds nothing and serves nobody')
    .argument('<name>')
    .action(act(remove))
  declareLost(path, act)
}

async function add(
  name: string,
  options: PlaceOptions & { readonly root: string },
  command: Command,
): Promise<void> {
  const { addPath } = await import('../archive/paths.ts')
  const { parseSshAddress } = await import('../ssh-address.ts')
  const { acceptHostKey } = await import('../archive/accept-host-key.ts')
  const ssh = options.ssh === undefined ? undefined : parseSshAddress(options.ssh)
  const request = {
    name,
    root: options.root,
    ssh,
    capacityBytes: options.capacity ?? null,
    reserveBytes: options.reserve,
    adopt: options.adopt === true,
  }
  const probe = await asAdmin(command, (schedule, config) =>
    addPath(schedule, request, acceptHostKey(options.hostKey), config),
  )
  const { printLine } = await import('../print.ts')
  printLine(`Added path "${name}": ${await describeProbe(probe)}.`)
}

async function set(
  name: string,
  options: PlaceOptions & { readonly root?: string; readonly rename?: string },
  command: Command,
): Promise<void> {
  const { changePath } = await import('../archive/paths.ts')
  const { parseSshAddress } = await import('../ssh-address.ts')
  const { acceptHostKey } = await import('../archive/accept-host-key.ts')
  const { requirePath } = await import('../schedule/paths.ts')
  const change = {
    name: options.rename,
    root: options.root,
    ssh: options.ssh === undefined ? undefined : parseSshAddress(options.ssh),
    capacityBytes: options.capacity,
    reserveBytes: options.reserve,
    newHostKey: options.hostKey !== undefined,
  }
  await asAdmin(command, async (schedule, config) => {
    const accept: AcceptHostKey = acceptHostKey(options.hostKey)
    await changePath(schedule, await requirePath(schedule, name), change, accept, config)
  })
  const { printLine } = await import('../print.ts')
  printLine(`Changed path "${options.rename ?? name}".`)
}

async function list(options: { readonly json?: true }, command: Command): Promise<void> {
  const { listPaths } = await import('../schedule/paths.ts')
  const { prettySize, printRows, tone } = await import('../print.ts')
  const paths = await asAdmin(command, (schedule) => listPaths(schedule))
  printRows(
    paths,
    [
      { title: 'name', value: ({ name }) => name },
      {
        title: 'state',
        value: (path) => {
          if (path.lostTime !== null) return tone.bad('lost')
          return path.active ? tone.good('active') : 'disabled'
        },
      },
      { title: 'place', value: placeOf },
      { title: 'clusters', value: ({ clusters }) => clusters, align: 'right' },
      { title: 'capacity', value: (path) => prettySize(path.capacityBytes), align: 'right' },
      { title: 'reserve', value: (path) => prettySize(path.reserveBytes), align: 'right' },
    ],
    { json: options.json, none: 'There are no paths yet. See "pgarch path add --help".' },
  )
}

async function show(
  name: string,
  options: { readonly json?: true },
  command: Command,
): Promise<void> {
  const { requirePathOrLost } = await import('../schedule/lost-paths.ts')
  const { prettySize, prettyTime, printFields, printJson } = await import('../print.ts')
  const path = await asAdmin(command, (schedule) => requirePathOrLost(schedule, name))
  if (options.json) {
    printJson(path)
    return
  }
  printFields({
    name: path.name,
    state: stateOf(path),
    place: placeOf(path),
    address: path.sshIp,
    'host key': path.hostKey,
    'pgarch-path': path.uuid,
    clusters: path.clusters,
    capacity: prettySize(path.capacityBytes),
    reserve: prettySize(path.reserveBytes),
    created: prettyTime(path.createTime),
    changed: prettyTime(path.modifyTime),
    ...(path.lostTime !== null && {
      'lost since': prettyTime(path.lostTime),
      'declared lost by': path.lostBy,
      reason: path.lostReason,
    }),
  })
}

async function setActive(name: string, active: boolean, command: Command): Promise<void> {
  const { requirePath, setPathActive } = await import('../schedule/paths.ts')
  await asAdmin(command, async (schedule) => {
    const { id } = await requirePath(schedule, name)
    await setPathActive(schedule, id, active)
  })
  const { printLine } = await import('../print.ts')
  printLine(
    active
      ? `Path "${name}" is enabled.`
      : `Path "${name}" is disabled; what it holds is still fetched.`,
  )
}

async function test(name: string, _options: object, command: Command): Promise<void> {
  const { testKnownPath } = await import('../archive/paths.ts')
  const { requirePath } = await import('../schedule/paths.ts')
  const probe = await asAdmin(command, async (schedule, config) =>
    testKnownPath(schedule, await requirePath(schedule, name), config),
  )
  const { printLine } = await import('../print.ts')
  printLine(`Path "${name}" is fit: ${await describeProbe(probe)}.`)
}

async function remove(name: string, _options: object, command: Command): Promise<void> {
  const { dropPath } = await import('../archive/path-removal.ts')
  const { requirePath } = await import('../schedule/paths.ts')
  await asAdmin(command, async (schedule, config) =>
    dropPath(schedule, await requirePath(schedule, name), config),
  )
  const { printLine } = await import('../print.ts')
  printLine(`Removed path "${name}".`)
}

function stateOf({ active, lostTime }: ArchivePath): string {
  if (lostTime !== null) return 'lost'
  return active ? 'active' : 'disabled'
}

function placeOf({ kind, sshUser, sshHost, sshPort, rootPath }: ArchivePath): string {
  return kind === 'local' ? rootPath : `${sshUser}@${sshHost}:${sshPort} ${rootPath}`
}

async function describeProbe({ freeBytes, totalBytes }: Probe): Promise<string> {
  const { prettySize } = await import('../print.ts')
  const space =
    freeBytes === undefined
      ? ''
      : `, ${prettySize(freeBytes)} of ${prettySize(totalBytes)} are free`
  return `it can write, sync, link, and refuses to overwrite${space}`
}
