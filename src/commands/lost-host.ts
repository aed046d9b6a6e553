import type { Command } from 'commander'
import { PgarchError } from '../errors.ts'
import { type Act, asAdmin, authorHere } from './command.ts'

interface LostOptions {
  readonly yesLoseWal?: true
  readonly reason?: string
}

/** `local lost` and `local found`. */
export function declareLostHost(local: Command, act: Act): void {
  local
    .command('lost')
    .description("declare that a host's local archive is gone for good, with what was in it")
    .argument('<cluster>', 'name, fingerprint or system identifier')
    .argument('<host>', 'as it registered, or the uuid of its membership')
    .option('--yes-lose-wal', 'needed, as WAL that is nowhere else is then absent for a recovery')
    .option('--reason <text>')
    .action(act(lose))
  local
    .command('found')
    .description('take that back')
    .argument('<cluster>')
    .argument('<host>')
    .action(act(find))
}

async function lose(
  reference: string,
  host: string,
  options: LostOptions,
  command: Command,
): Promise<void> {
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { listLocalHoldings, loseLocalArchives } = await import('../schedule/lost-hosts.ts')
  const { prettyTime, printLine } = await import('../print.ts')
  await asAdmin(command, async (schedule) => {
    const { fingerprint, name } = await requireCluster(schedule, reference)
    const holdings = await listLocalHoldings(schedule, fingerprint, host)
    if (holdings.length === 0) {
      throw new PgarchError(
        'refused',
        `no file of cluster "${name}" is known to lie in a local archive of host "${host}"`,
        {
          hint: 'See "pgarch cluster show" for its hosts. What is lost already is not told again.',
        },
      )
    }
    for (const { lastSeen, files, onlyThere, first, last } of holdings) {
      const range = onlyThere === 0 ? '' : `: ${first}${first === last ? '' : ` to ${last}`}`
      printLine(
        `The local archive of host "${host}" holds ${files} ${files === 1 ? 'file' : 'files'} of cluster "${name}", ` +
          `${onlyThere} nowhere else${range}. The host was seen last: ${prettyTime(lastSeen)}.`,
      )
    }
    if (!options.yesLoseWal) {
      throw new PgarchError(
        'usage',
        'a recovery ends at the first file that only a lost host has',
        {
          hint:
            'If the host can be brought back, run "pgarch local drain" there. If it is gone for good, ' +
            'add --yes-lose-wal.',
        },
      )
    }
    const memberIds = holdings.map(({ memberId }) => memberId)
    const decision = { author: authorHere(), reason: options.reason ?? null }
    await loseLocalArchives(schedule, fingerprint, memberIds, decision)
    printLine(`It is lost, and what was nowhere else with it.`)
    if (holdings.some(({ onlyThere }) => onlyThere > 0)) {
      printLine(`Take a base backup of cluster "${name}" now.`)
    }
  })
}

async function find(
  reference: string,
  host: string,
  _options: object,
  command: Command,
): Promise<void> {
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { returnLocalArchives } = await import('../schedule/lost-hosts.ts')
  const { printLine } = await import('../print.ts')
  await asAdmin(command, async (schedule) => {
    const { fingerprint } = await requireCluster(schedule, reference)
    await returnLocalArchives(schedule, fingerprint, host)
  })
  printLine(`What lies in the local archive of host "${host}" is waited for again.`)
}
