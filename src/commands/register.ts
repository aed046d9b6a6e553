import type { Command } from 'commander'
import type { Registration } from '../archive/register.ts'
import { PgarchError } from '../errors.ts'
import { type Act, configOf } from './command.ts'
import { portNumber } from './options.ts'

interface RegisterOptions {
  readonly name?: string
  readonly pgdata?: string
  readonly idc?: string
  readonly platform?: string
  readonly host?: string
  readonly port?: number
  readonly pguser?: string
  readonly member?: true
  readonly new?: true
  readonly offline?: true
  readonly apply?: true
}

export function declare(program: Command, act: Act): void {
  program
    .command('register')
    .description('make a data directory known: as a new cluster, or as another host of one')
    .option('--name <name>', "the cluster's name")
    .option('--pgdata <dir>', 'the data directory (PGDATA; the working directory)')
    .option('--member', 'this is another host of a registered cluster')
    .option('--new', 'this is a copy of a registered cluster that lives on as one of its own')
    .option('--idc <text>', 'data centre, for listings')
    .option('--platform <text>', 'platform, for listings')
    .option('--host <name>', 'the name under which clients reach the cluster (this host)')
    .option('--port <number>', 'the port under which clients reach it', portNumber)
    .option(
      '--pguser <role>',
      "superuser on the production server (the operating system user's name)",
    )
    .option('--offline', 'the production server need not run; its fingerprint table follows later')
    .option('--apply', 'set archive_command and the like with ALTER SYSTEM, and reload')
    .addHelpText(
      'after',
      `
Run it as root or as the server's user, with a URL whose login is a member of pgarch_admin. As root it
goes on as the data directory's owner once it is connected. It can be repeated.`,
    )
    .action(act((options: RegisterOptions, command: Command) => run(options, command)))
}

async function run(options: RegisterOptions, command: Command): Promise<void> {
  if (options.member && options.new) {
    throw new PgarchError('usage', '--member and --new exclude each other')
  }
  if (options.offline && options.apply) {
    throw new PgarchError('usage', '--apply needs the server, and --offline does not use it')
  }
  const { register } = await import('../archive/register.ts')
  const { applySettings, serverSettings, settingLines } = await import(
    '../archive/server-settings.ts'
  )
  const { launcher } = await import('../installation.ts')
  const { printLine, printLines } = await import('../print.ts')
  const request = {
    pgdata: options.pgdata ?? process.env.PGDATA ?? '.',
    name: options.name,
    intent: options.member ? ('member' as const) : options.new ? ('new' as const) : undefined,
    offline: options.offline === true,
    pguser: options.pguser,
    properties: {
      idc: options.idc ?? null,
      platform: options.platform ?? null,
      host: options.host ?? null,
      port: options.port ?? null,
    },
  }
  await register(request, await configOf(command), async (registration, production) => {
    const { member, hasNamesake } = registration
    const settings = serverSettings(launcher, hasNamesake ? member.fingerprint : undefined)
    printLines(describe(registration))
    if (!options.apply || production === undefined) {
      const lines = settingLines(settings).map((line) => `  ${line}`)
      printLines(['', 'Lines for postgresql.conf:', ...lines])
      return
    }
    const path = registration.dataDirectory.path
    const warnings = await applySettings(production.connection, path, settings)
    const { log } = await import('../log.ts')
    printLine('Settings were applied with ALTER SYSTEM, and the server reloaded.')
    for (const warning of warnings) log.warning(warning)
  })
}

function describe({ action, member, stateDirectory, fingerprintStored }: Registration): string[] {
  const name = `"${member.clusterName}"`
  const what = {
    create: `Registered cluster ${name}`,
    enrol: `Enrolled this host as a member of cluster ${name}`,
    succeed: `Registered cluster ${name} anew, as its system identifier changed; the old one is retired, and still fetchable`,
    keep: `This host is a member of cluster ${name} already`,
  }[action]
  const lines = [
    `${what}.`,
    `  fingerprint      ${member.fingerprint}`,
    `  member           ${member.memberId}`,
    `  state directory  ${stateDirectory}`,
  ]
  if (!fingerprintStored) {
    lines.push(
      'The production database does not carry the fingerprint yet: register again when it runs as a primary.',
    )
  }
  return lines
}
