import type { Command } from 'commander'
import { PgarchError } from '../errors.ts'
import type { OnlyThere } from '../schedule/lost-paths.ts'
import { type Act, asAdmin, authorHere } from './command.ts'

interface LostOptions {
  readonly yesLoseWal?: true
  readonly reason?: string
}

/** `path lost` and `path found`. */
export function declareLost(path: Command, act: Act): void {
  path
    .command('lost')
    .description('declare that a path is gone for good: it is not asked any more')
    .argument('<name>')
    .option('--yes-lose-wal', 'needed, as WAL that is nowhere else is then absent for a recovery')
    .option('--reason <text>')
    .action(act(lose))
  path
    .command('found')
    .description('take that back, once the path answers and is the same by its pgarch-path')
    .argument('<name>', 'or, of several lost ones, what pgarch-path says')
    .action(act(find))
}

async function lose(name: string, options: LostOptions, command: Command): Promise<void> {
  const { filesOnlyOn, losePath } = await import('../schedule/lost-paths.ts')
  const { requirePath } = await import('../schedule/paths.ts')
  const { printLine } = await import('../print.ts')
  await asAdmin(command, async (schedule) => {
    const path = await requirePath(schedule, name)
    const before = await filesOnlyOn(schedule, path.id)
    printLine(`Path "${name}" holds ${inWords(before)} that no other path has.`)
    for (const one of before) printLine(`  ${ofCluster(one)}`)
    if (!options.yesLoseWal) {
      throw new PgarchError(
        'usage',
        'a recovery ends at the first file that only a lost path has',
        {
          hint:
            'Bring the path back if you can; "pgarch path disable" lets no more files go there. If ' +
            'it is gone for good, add --yes-lose-wal.',
        },
      )
    }
    await losePath(schedule, path.id, { author: authorHere(), reason: options.reason ?? null })
    const after = await filesOnlyOn(schedule, path.id)
    printLine(`Path "${name}" is lost, and with it ${inWords(after)}.`)
    if (after.length > 0) printLine('Take a base backup of each of these clusters now.')
  })
}

async function find(reference: string, _options: object, command: Command): Promise<void> {
  const { returnLostPath } = await import('../archive/lost-paths.ts')
  const { requireLostPath } = await import('../schedule/lost-paths.ts')
  const { printLine } = await import('../print.ts')
  const { name } = await asAdmin(command, async (schedule, config) => {
    const path = await requireLostPath(schedule, reference)
    await returnLostPath(schedule, path, config)
    return path
  })
  printLine(`Path "${name}" is asked again, and what it holds can be fetched.`)
}

function inWords(perCluster: readonly OnlyThere[]): string {
  const files = perCluster.reduce((sum, one) => sum + one.files, 0)
  if (files === 0) return 'no file'
  const clusters = perCluster.length === 1 ? 'one cluster' : `${perCluster.length} clusters`
  return `${files} ${files === 1 ? 'file' : 'files'} of ${clusters}`
}

function ofCluster({ clusterName, files, first, last }: OnlyThere): string {
  return `${clusterName}: ${files}, ${first}${files === 1 ? '' : ` to ${last}`}`
}
