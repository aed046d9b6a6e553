import { type Command, InvalidArgumentError } from 'commander'
import { PgarchError } from '../errors.ts'
import { checkExit } from '../exit-codes.ts'
import { type Checked, parseThresholds } from '../monitor/measure.ts'
import { pluginResult } from '../monitor/plugin.ts'
import { within } from '../within.ts'
import type { Act } from './command.ts'

interface GivenOptions extends Omit<CheckOptions, 'warning' | 'critical' | 'timeout'> {
  readonly warning?: readonly string[]
  readonly critical?: readonly string[]
  readonly timeout?: number
}

export interface CheckOptions {
  readonly host?: true
  readonly switch?: true
  readonly pgdata?: string
  readonly cluster?: string
  readonly path?: string
  readonly fleet?: true
  readonly probe?: true
  readonly pguser?: string
  readonly warning: readonly string[]
  readonly critical: readonly string[]
  /** Seconds. */
  readonly timeout: number
  readonly verbose?: true
}

export function declare(program: Command, act: Act): void {
  program
    .command('check')
    .description('whether all is well, as a plugin for Nagios and its kin')
    .option('--host', 'this host, by what it knows itself; needs no scheduling database (default)')
    .option('--switch', 'end a WAL segment on this host, and prove that it can be fetched')
    .option('-D, --pgdata <dir>', 'only this one; otherwise all that are registered here')
    .option(
      '--cluster <name>',
      'one cluster, by the scheduling database: name, fingerprint, identifier',
    )
    .option('--path <name>', 'one path, by the scheduling database')
    .option('--fleet', 'all clusters and paths, and the scheduling database itself')
    .option('--probe', 'with these: look at the paths, too, and keep what was found')
    .option('--pguser <role>', "superuser on the server (the operating system user's name)")
    .option('-w, --warning <range>', 'of the main measure, or MEASURE=RANGE; repeatable', gather)
    .option('-c, --critical <range>', 'the same', gather)
    .option('-t, --timeout <seconds>', 'then all is unknown (10; with --switch 60)', seconds)
    .option('-v, --verbose', 'tell what is well, too')
    .addHelpText(
      'after',
      '\nThe exit status is 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. See docs/monitoring.md.',
    )
    .action(act(check))
}

/** One way of checking. */
interface Kind {
  /** Names of its measures, the main one first. */
  readonly measures: readonly string[]
  /** Seconds, unless others are given. */
  readonly timeout: number
  readonly look: (options: CheckOptions, command: Command) => Promise<Checked>
}

async function check(given: GivenOptions, command: Command): Promise<number> {
  const { printLines } = await import('../print.ts')
  const { measures, look, timeout: usual } = await kindOf(given)
  const { warning = [], critical = [], timeout = usual } = given
  const thresholds = {
    warning: parseThresholds('--warning', warning, measures),
    critical: parseThresholds('--critical', critical, measures),
  }
  const options = { ...given, warning, critical, timeout }
  const checked = await within(look(options, command), timeout * 1000)
  const verbose = options.verbose === true
  const { severity, lines } = pluginResult(checked, thresholds, { verbose })
  printLines(lines)
  return checkExit[severity]
}

async function kindOf(given: GivenOptions): Promise<Kind> {
  const { host, switch: end, pgdata, cluster, path, fleet, probe } = given
  const kinds = [host, end, cluster, path, fleet].filter((kind) => kind !== undefined)
  if (kinds.length > 1) {
    const which = '--host, --switch, --cluster, --path and --fleet'
    throw new PgarchError('usage', `${which} exclude each other`)
  }
  const isCentral = (cluster ?? path ?? fleet) !== undefined
  if (isCentral && pgdata !== undefined) {
    throw new PgarchError('usage', '--pgdata is for checks of this host')
  }
  if (probe && !isCentral) {
    throw new PgarchError('usage', '--probe is for --cluster, --path and --fleet')
  }
  if (isCentral) return await centralKind(given)
  if (end) {
    const { checkSwitch, switchMeasures } = await import('./check-switch.ts')
    return { measures: switchMeasures, timeout: 60, look: checkSwitch }
  }
  const { hostMeasures } = await import('../monitor/host-findings.ts')
  const { checkHost } = await import('./check-host.ts')
  return { measures: hostMeasures, timeout: 10, look: checkHost }
}

async function centralKind({ cluster, path }: GivenOptions): Promise<Kind> {
  const { checkCentre, clusterMeasures, fleetMeasures, pathMeasures } = await import(
    './check-centre.ts'
  )
  const ofOne = cluster === undefined ? pathMeasures : clusterMeasures
  const measures = cluster === undefined && path === undefined ? fleetMeasures : ofOne
  return { measures, timeout: 10, look: checkCentre }
}

function gather(range: string, before: readonly string[] = []): readonly string[] {
  return [...before, range]
}

function seconds(text: string): number {
  const number = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && number > 0 && number <= 86_400) return number
  throw new InvalidArgumentError('It takes a number of seconds above 0, and a day at the most.')
}
