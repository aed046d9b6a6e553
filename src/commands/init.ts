import type { Command } from 'commander'
import { type Act, configOf } from './command.ts'

export function declare(program: Command, act: Act): void {
  program
    .command('init')
    .description('make or upgrade the schema "pgarch" in the scheduling database')
    .argument('[url]', "the scheduling database's URL, instead of --schedule")
    .addHelpText(
      'after',
      '\nNeeds a superuser, or the database owner with CREATEROLE. Can be repeated.',
    )
    .action(
      act(async (url: string | undefined, _options: object, command: Command) => {
        const given = await configOf(command)
        const config = { ...given, scheduleUrl: url ?? given.scheduleUrl }
        const { withScheduling } = await import('../resources.ts')
        const { migrate, readMigrations } = await import('../schedule/migrate.ts')
        const { migrationsFolder } = await import('../installation.ts')
        const migrations = await readMigrations(migrationsFolder)
        const { from, to } = await withScheduling(
          config,
          (schedule) => migrate(schedule, migrations),
          'init',
        )
        const { printLine, printLines } = await import('../print.ts')
        printLine(
          from === to
            ? `The schema is up to date, at version ${to}.`
            : `The schema is now at version ${to}${from === 0 ? '' : `, it was at ${from}`}.`,
        )
        if (from === 0) printLines([nextSteps])
      }),
    )
}

const nextSteps = `
What to do next:
  1. Let hosts log in:      alter role pgarch_agent password '..';   (and a line in pg_hba.conf)
     Let people steer:      grant pgarch_admin to alice;   or only look:   grant pgarch_monitor to bob;
  2. Add archive paths:     pgarch path add NAME --ssh USER@HOST --root DIR
  3. On each cluster's host: pgarch register --name NAME --pgdata DIR
  4. Connect the two:       pgarch route set CLUSTER PATH --priority 10`
