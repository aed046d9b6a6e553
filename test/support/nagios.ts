import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { waitFor } from './fleet.ts'
import { makeFolder, ownByUnprivileged } from './folder.ts'
import { checkout, makeReadable } from './installation.ts'
import { asUnprivileged, unprivileged } from './unprivileged.ts'

/** What Nagios last heard of a service. */
export interface ServiceState {
  readonly state: 'OK' | 'WARNING' | 'CRITICAL' | 'UNKNOWN'
  readonly output: string
  readonly longOutput: string
  readonly performanceData: string
}

export interface Nagios {
  /** Undefined: it has not been checked yet. */
  service(description: string): ServiceState | undefined
  /** Resolves to it once it has the state, and says this. */
  untilState(
    description: string,
    state: ServiceState['state'],
    says?: string,
  ): Promise<ServiceState>
}

/** Where Debian has the plugins, and the objects that everybody's configuration begins with. */
const debian = { plugins: '/usr/lib/nagios/plugins', objects: '/etc/nagios4/objects' }

/** The configuration that users are given, where the unprivileged user can read it. */
export function copyOfExamples(folder: string): string {
  const examples = join(folder, 'examples')
  cpSync(join(checkout, 'examples/nagios'), examples, { recursive: true })
  makeReadable(examples)
  return examples
}

/** A Nagios with the given objects, to which a minute is a second; it ends with the test. */
export async function startNagios(parent: string, objectFiles: readonly string[]): Promise<Nagios> {
  const folder = makeFolder(parent, 'nagios')
  for (const name of ['results', 'tmp', 'rw']) makeFolder(folder, name)
  const statusFile = join(folder, 'status.dat')
  const usual = ['commands', 'contacts', 'templates', 'timeperiods']
  const objects = [...usual.map((name) => join(debian.objects, `${name}.cfg`)), ...objectFiles]
  write(join(folder, 'resource.cfg'), `$USER1$=${debian.plugins}\n`)
  write(join(folder, 'nagios.cfg'), configuration(folder, statusFile, objects))
  const daemon = await start('/usr/sbin/nagios4', [join(folder, 'nagios.cfg')], folder)

  function service(description: string): ServiceState | undefined {
    const text = existsSync(statusFile) ? readFileSync(statusFile, 'utf8') : ''
    const block = text
      .split('\n\n')
      .find((one) => one.includes(`\tservice_description=${description}\n`))
    const field = (name: string) => new RegExp(`^\t${name}=(.*)$`, 'm').exec(block ?? '')?.[1] ?? ''
    if (field('has_been_checked') !== '1') return undefined
    const state = (['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'] as const)[
      Number(field('current_state'))
    ]
    if (state === undefined) throw new Error(`no state in ${block}`)
    const longOutput = field('long_plugin_output').replaceAll('\\n', '\n')
    return {
      ...{ state, longOutput, output: field('plugin_output') },
      performanceData: field('performance_data'),
    }
  }

  return {
    service,
    async untilState(description, state, says = '') {
      await waitFor(
        `"${description}" is ${state} ${says}`,
        () => {
          if (daemon.exitCode !== null) throw new Error('Nagios has ended')
          const now = service(description)
          return now?.state === state && now.output.includes(says)
        },
        120_000,
      ).catch((error: Error) => {
        error.message += `: ${JSON.stringify(service(description))}\n${logOf(folder)}`
        throw error
      })
      return service(description) as ServiceState
    },
  }
}

/** An NRPE that runs the commands of a file; it ends with the test. */
export async function startNrpe(parent: string, include: string, port: number): Promise<void> {
  const folder = makeFolder(parent, 'nrpe')
  const { name } = unprivileged
  const lines = {
    ...{ server_address: '127.0.0.1', server_port: port, allowed_hosts: '127.0.0.1' },
    ...{ nrpe_user: name, nrpe_group: unprivileged.gid, pid_file: join(folder, 'pid') },
    ...{ command_timeout: 60, connection_timeout: 300, include, log_file: join(folder, 'log') },
  }
  const file = join(folder, 'nrpe.cfg')
  write(file, settings(lines))
  await start('/usr/sbin/nrpe', ['-c', file, '-f'], folder)
}

function configuration(folder: string, statusFile: string, objects: readonly string[]): string {
  const lines = {
    ...{ log_file: join(folder, 'nagios.log'), object_cache_file: join(folder, 'objects.cache') },
    ...{ resource_file: join(folder, 'resource.cfg'), status_file: statusFile },
    ...{ lock_file: join(folder, 'lock'), temp_file: join(folder, 'tmp/nagios') },
    ...{ temp_path: join(folder, 'tmp'), check_result_path: join(folder, 'results') },
    ...{ query_socket: join(folder, 'rw/nagios.qh'), command_file: join(folder, 'rw/nagios.cmd') },
    ...{ check_external_commands: 0, retain_state_information: 0, enable_notifications: 0 },
    ...{ interval_length: 1, status_update_interval: 1, check_result_reaper_frequency: 1 },
    ...{ use_syslog: 0, check_for_updates: 0, enable_flap_detection: 0 },
    ...{ service_check_timeout: 60, illegal_macro_output_chars: '`~$&|\'"<>' },
  }
  return settings(lines) + objects.map((file) => `cfg_file=${file}\n`).join('')
}

function settings(lines: Readonly<Record<string, string | number>>): string {
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

async function start(
  program: string,
  words: readonly string[],
  cwd: string,
): Promise<ChildProcess> {
  // setpriv: it dies with us even when we are killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...words], {
    ...asUnprivileged(),
    cwd,
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await once(child, 'spawn')
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  return child
}

function logOf(folder: string): string {
  const file = join(folder, 'nagios.log')
  return existsSync(file) ? readFileSync(file, 'utf8').slice(-4000) : ''
}

function write(file: string, text: string): void {
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, text)
  ownByUnprivileged(file)
}
