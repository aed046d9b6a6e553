import type { Command } from 'commander'
import type { ContentOfName } from '../archive/conflict-contents.ts'
import type { ConflictPicture } from '../archive/conflicts.ts'
import { type Act, asAdmin, authorHere } from './command.ts'

interface SetAsideOptions {
  readonly reason: string
  readonly content?: string
}

export function declare(program: Command, act: Act): void {
  const conflict = program
    .command('conflict')
    .description('WAL files that two servers want to archive with different content')
    .addHelpText('after', '\nHow they come about, and what to do: docs/conflicts.md.')
  conflict
    .command('list')
    .description('list open conflicts, of one cluster or of all')
    .argument('[cluster]', 'name, fingerprint or system identifier')
    .option('--json', 'as JSON')
    .action(act(list))
  conflict
    .command('show')
    .description('show the contents, whose they are and where they lie; changes nothing')
    .argument('<cluster>')
    .argument('<file>', 'the WAL file')
    .option('--json', 'as JSON')
    .action(act(show))
  conflict
    .command('set-aside')
    .description('settle a conflict: the archived content is renamed, and gives way to the other')
    .argument('<cluster>')
    .argument('<file>', 'the WAL file')
    .requiredOption('--reason <text>', 'kept with what was decided')
    .option('--content <sha256>', 'what gives way, if not what is archived; its beginning will do')
    .action(act(setAside))
}

async function list(
  reference: string | undefined,
  options: { readonly json?: true },
  command: Command,
): Promise<void> {
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { listOpenConflicts } = await import('../schedule/conflicts.ts')
  const { prettyTime, printRows } = await import('../print.ts')
  const conflicts = await asAdmin(command, async (schedule) => {
    const one = reference === undefined ? undefined : await requireCluster(schedule, reference)
    return await listOpenConflicts(schedule, one?.fingerprint ?? null)
  })
  printRows(
    conflicts,
    [
      { title: 'cluster', value: ({ clusterName }) => clusterName },
      { title: 'file', value: ({ walName }) => walName },
      { title: 'refused from', value: ({ host, memberId }) => host ?? memberId },
      { title: 'met', value: ({ pathName }) => (pathName === null ? 'at once' : `on ${pathName}`) },
      { title: 'first', value: ({ firstSeen }) => prettyTime(firstSeen) },
      { title: 'last', value: ({ lastSeen }) => prettyTime(lastSeen) },
      { title: 'times', value: ({ times }) => times, align: 'right' },
    ],
    { json: options.json, none: 'There is no open conflict.' },
  )
}

async function show(
  reference: string,
  walName: string,
  options: { readonly json?: true },
  command: Command,
): Promise<void> {
  const { examineConflict } = await import('../archive/conflicts.ts')
  const { chooseContent, contentsOf } = await import('../archive/conflict-contents.ts')
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { printJson, printLine } = await import('../print.ts')
  const picture = await asAdmin(command, async (schedule, config) =>
    examineConflict(schedule, await requireCluster(schedule, reference), walName, config),
  )
  const { conflicts, doubts, localHosts } = picture
  if (options.json) {
    const notSeen = doubts.map(({ pathName, error }) => ({ path: pathName, error: error.message }))
    const contents = contentsOf(picture)
    printJson({ cluster: picture.cluster.name, walName, contents, conflicts, localHosts, notSeen })
    return
  }
  await printContents(picture)
  if (conflicts.length === 0) {
    printLine('There is no open conflict about this file.')
    return
  }
  printLine()
  printLine('"pgarch conflict set-aside" would mean:')
  await printConsequences(picture, () => chooseContent(picture, undefined))
}

async function setAside(
  reference: string,
  walName: string,
  options: SetAsideOptions,
  command: Command,
): Promise<void> {
  const { examineConflict, requireAllSeen, setContentAside } = await import(
    '../archive/conflicts.ts'
  )
  const { chooseContent } = await import('../archive/conflict-contents.ts')
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { printLine } = await import('../print.ts')
  await asAdmin(command, async (schedule, config) => {
    const cluster = await requireCluster(schedule, reference)
    const picture = await examineConflict(schedule, cluster, walName, config)
    const choice = chooseContent(picture, options.content)
    requireAllSeen(picture)
    await printContents(picture)
    printLine()
    printLine(`Setting aside sha256 ${choice.givesWay.sha256}:`)
    await printConsequences(picture, () => choice)
    const decision = { author: authorHere(), reason: options.reason }
    const copies = await setContentAside(schedule, picture, choice, decision, config)
    for (const { path, file } of copies) printLine(`It lies on path "${path}" as ${file} now.`)
    printLine('The conflict is settled. A server that was refused archives at its next try.')
  })
}

async function printContents(picture: ConflictPicture): Promise<void> {
  const { contentsOf } = await import('../archive/conflict-contents.ts')
  const { prettySize, prettyTime, printLine, printRows } = await import('../print.ts')
  const { cluster, walName, doubts, localHosts } = picture
  const who = ({ host, memberId }: ContentOfName) => host ?? memberId
  printLine(`"${walName}" of cluster "${cluster.name}"`)
  printRows(
    contentsOf(picture),
    [
      { title: 'content', value: ({ standing }) => standing },
      { title: 'sha256', value: ({ sha256 }) => sha256 },
      { title: 'size', value: ({ walSize }) => prettySize(walSize), align: 'right' },
      { title: 'host', value: who },
      { title: 'first', value: ({ firstTime }) => prettyTime(firstTime) },
      { title: 'last', value: ({ lastTime }) => prettyTime(lastTime) },
      { title: 'times', value: ({ times }) => times, align: 'right' },
      { title: 'on paths', value: ({ paths }) => paths.join(', ') || null },
    ],
    { none: 'Nobody archived it.' },
  )
  for (const host of localHosts) printLine(`It lies in the local archive of host "${host}".`)
  for (const { pathName, error } of doubts) {
    printLine(`What lies on path "${pathName}" is not known: ${error.message}`)
  }
}

/** Or why it does not go without more being said. */
async function printConsequences(
  picture: ConflictPicture,
  choose: () => import('../archive/conflict-contents.ts').Choice,
): Promise<void> {
  const { consequencesOf } = await import('../archive/conflict-consequences.ts')
  const { PgarchError } = await import('../errors.ts')
  const { printLine } = await import('../print.ts')
  try {
    for (const line of consequencesOf(picture, choose())) printLine(`  ${line}`)
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    printLine(`  refused: ${error.message}`)
    printLine(`  ${error.hint}`)
  }
}
