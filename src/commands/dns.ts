import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import type { ComparedName } from '../monitor/names.ts'
import type { ZoneService } from '../monitor/zone.ts'
import { domain as domainName } from '../settings.ts'
import { type Act, asAdmin } from './command.ts'
import { timeSpan } from './options.ts'

export function declare(program: Command, act: Act): void {
  const dns = program.command('dns').description('the names of hosts, and what DNS says of them')
  dns
    .command('check')
    .description('compare what DNS says with what the scheduling database has')
    .option('--update', 'record what the names lead to now, as ssh_ip and vip')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nThe exit status is 1 when something does not agree. See docs/dns.md.')
    .action(act(check))
  dns
    .command('zone')
    .description('print the records of hosts and of the scheduling database, for a zone file')
    .option('--domain <domain>', 'of the zone (schedule.domain)', parseDomain)
    .addOption(
      new Option('--ttl <time>', 'for how long an answer holds')
        .argParser(timeSpan)
        .default(300_000, '5min'),
    )
    .addHelpText('after', '\nInclude it in the zone by $INCLUDE. See docs/dns.md.')
    .action(act(zone))
}

function parseDomain(text: string): string {
  try {
    return domainName(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

async function check(
  options: { readonly update?: true; readonly json?: true },
  command: Command,
): Promise<number | undefined> {
  const { checkServices, compareNames, recordCompared } = await import('../monitor/names.ts')
  const { listNames } = await import('../schedule/names.ts')
  const { namesOf } = await import('../resources.ts')
  const { adminExit } = await import('../exit-codes.ts')
  const found = await asAdmin(command, async (schedule, config) => {
    const domain = config.scheduleDomain
    const services = domain === undefined ? [] : await checkServices(domain, namesOf(config))
    const compared = await compareNames(await listNames(schedule), namesOf(config))
    if (!options.update) return [...services, ...compared]
    const updated: ComparedName[] = []
    for (const one of compared) updated.push(await recordCompared(schedule, one))
    return [...services, ...updated]
  })
  await printCompared(found, options)
  return found.some(({ trouble }) => trouble !== undefined) ? adminExit.failed : undefined
}

async function printCompared(
  found: readonly ComparedName[],
  options: { readonly json?: true },
): Promise<void> {
  const { printRows, tone } = await import('../print.ts')
  printRows(
    found,
    [
      { title: 'of', value: ({ kind, of }) => `${kind} ${of}` },
      { title: 'name', value: ({ host }) => host },
      { title: 'recorded', value: ({ recorded }) => recorded },
      { title: 'now', value: ({ addresses }) => addresses.join(', ') || '-' },
      {
        title: '',
        value: ({ trouble }) => (trouble === undefined ? tone.good('agrees') : tone.bad(trouble)),
      },
    ],
    { json: options.json, none: 'No path and no cluster has a name for its host.' },
  )
}

async function zone(
  options: { readonly domain?: string; readonly ttl: number },
  command: Command,
): Promise<void> {
  const { zoneRecords } = await import('../monitor/zone.ts')
  const { listNames } = await import('../schedule/names.ts')
  const { printLines } = await import('../print.ts')
  const lines = await asAdmin(command, async (schedule, config) => {
    const domain = options.domain ?? config.scheduleDomain
    if (domain === undefined) {
      throw new PgarchError('usage', 'the domain of the zone is not known', {
        hint: 'Give --domain, or set schedule.domain.',
      })
    }
    return zoneRecords({
      domain,
      ttlSeconds: Math.round(options.ttl / 1000),
      names: await listNames(schedule),
      services: await zoneServices(config),
    })
  })
  printLines(lines)
}

/** As DNS has them already, or the URL's hosts: the first is preferred. */
async function zoneServices(config: Config): Promise<readonly ZoneService[]> {
  const { userInfo } = await import('node:os')
  const { parseScheduleAddress } = await import('../schedule/address.ts')
  const { namesOf, scheduleUrl } = await import('../resources.ts')
  const user = userInfo().username
  const { scheduleDomain } = config
  const address = parseScheduleAddress(scheduleUrl(config), process.env, user, scheduleDomain)
  if (address.domain !== undefined) {
    const { askServices } = await import('../dns/ask.ts')
    return await askServices(address.domain, namesOf(config))
  }
  return address.hosts.map(({ host, port }, index) => ({
    ...{ host, port },
    ...{ priority: 10 * (index + 1), weight: 0 },
  }))
}
