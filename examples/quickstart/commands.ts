import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa, type Result } from 'execa'
import { PgarchError } from '../../src/errors.ts'
import type { Workplace } from './workplace.ts'

/** A shell for the quickstart. What runs in it is written to commands.sh, with what it answered. */
export interface Shell {
  /** Says in commands.sh what the next commands are for. */
  explain(text: string): void
  /** Sets variables of the environment, or with undefined takes them away. */
  export(variables: Readonly<Record<string, string | undefined>>): void
  /** Runs a command line and resolves to its standard output; rejects unless it succeeds. */
  run(line: string): Promise<string>
  /** The same for cleaning up: also when the quickstart was interrupted. */
  runAnyway(line: string): Promise<string>
  /** The same without a word in commands.sh: a look that is repeated. */
  look(line: string): Promise<string>
  /** Starts a command that runs until it is stopped. */
  start(line: string): Background
}

/** How PostgreSQL stops: `fast` archives what is left, `immediate` drops everything. */
export type StopMode = 'fast' | 'immediate'

/** Something that may run. */
export interface Running {
  /** Does nothing when it does not run. */
  stop(mode: StopMode): Promise<void>
}

export interface Background extends Running {
  /** Rejects if it has ended by itself. */
  check(): void
}

/** In milliseconds, for one command; what takes so long will not end at all. */
const timeout = 90_000

/** `interruption` keeps further commands from being started; it does not cut off the one that runs. */
export function openShell(workplace: Workplace, interruption: AbortSignal): Shell {
  const { folder, programs } = workplace
  const file = join(folder, 'commands.sh')
  const environment: Record<string, string> = {}
  writeFileSync(file, `${introduction(workplace)}\ncd ${folder}\n`)
  const write = (text: string) => appendFileSync(file, `${text}\n`)

  const options = {
    cwd: folder,
    env: environment,
    extendEnv: false,
    stdin: 'ignore',
    detached: true, // Ctrl-C on the terminal is for the quickstart, which then cleans up
    reject: false,
  } as const
  const execute = (line: string) =>
    execa('/bin/sh', ['-ec', line], { ...options, all: true, timeout })

  async function runAnyway(line: string): Promise<string> {
    write(line)
    const result = await execute(line)
    if (result.all.trim() !== '') write(asComment(result.all))
    return outputOf(line, result)
  }

  const shell: Shell = {
    explain(text) {
      write(`\n# ${text.replaceAll('\n', '\n# ')}`)
    },
    export(variables) {
      for (const [name, value] of Object.entries(variables)) {
        if (value === undefined) delete environment[name]
        else environment[name] = value
        const shown = value?.replaceAll(folder, '$PWD')
        write(shown === undefined ? `unset ${name}` : `export ${name}="${shown}"`)
      }
    },
    async run(line) {
      interruption.throwIfAborted()
      return await runAnyway(line)
    },
    runAnyway,
    async look(line) {
      interruption.throwIfAborted()
      return outputOf(line, await execute(line))
    },
    start(line) {
      interruption.throwIfAborted()
      write(`${line} &`)
      const child = execa('/bin/sh', ['-c', `exec ${line}`], options)
      let isRunning = true
      child.finally(() => {
        isRunning = false
      })
      return {
        check() {
          if (!isRunning) throw new PgarchError('unusable', `"${line}" ended too early`)
        },
        async stop() {
          if (!isRunning) return
          write('kill $!')
          child.kill()
          await child
        },
      }
    },
  }
  shell.export({ PATH: programs.join(':'), HOME: join(folder, 'home'), LC_ALL: 'C' })
  return shell
}

function introduction({ user }: Workplace): string {
  return `#!/bin/sh
# What "npm run quickstart" ran on ${new Date().toISOString().slice(0, 10)}, as you would type it, with what was answered.
# It is for reading: pgarch's copy and all data in this folder are removed when it is done.
# Everything ran as user "${user}" on one machine. In earnest each server has a machine of its own.`
}

/** The beginning of what a command said. */
function asComment(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const most = 20
  const shown = lines.length > most ? [...lines.slice(0, most), '..'] : lines
  return shown.map((line) => `#   ${line}`).join('\n')
}

function outputOf(line: string, result: Pick<Result, 'failed'> & Output): string {
  if (!result.failed) return result.stdout
  const how = result.timedOut
    ? `did not end within ${timeout / 1000} s`
    : `failed with exit code ${result.exitCode}`
  throw new PgarchError('unusable', `"${line}" ${how}\n${result.all}`)
}

interface Output {
  readonly stdout: string
  readonly all: string
  readonly exitCode?: number | undefined
  readonly timedOut: boolean
}
