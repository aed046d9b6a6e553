import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { checkout, makeReadable } from './installation.ts'

/**
 * The newest commit whose sql folder lacks the migration. Undefined where git cannot tell: in a copy
 * without its history, or with a part of it. In CI the whole history must have one.
 */
export function commitBefore(migration: string): string | undefined {
  const commits = git('rev-list', '--date-order', 'HEAD')?.toString().trim().split('\n') ?? []
  const found = commits.find(
    (commit) => git('cat-file', '-e', `${commit}:${migration}`) === undefined,
  )
  if (found !== undefined || process.env.CI === undefined) return found
  if (git('rev-parse', '--is-shallow-repository')?.toString().trim() === 'false') {
    throw new Error(`no commit lacks ${migration}`)
  }
  return undefined
}

/**
 * Builds the program of that commit into `folder`, and returns the file for Node.js. It answers push
 * and fetch in its private codes, as there is no launcher.
 */
export async function buildClientOf(commit: string, folder: string): Promise<string> {
  const source = join(folder, 'source')
  mkdirSync(source)
  const archive = git('archive', commit, 'src', 'package.json', 'tsconfig.json')
  execFileSync('tar', ['-x', '-C', source], { input: archive ?? '' })
  symlinkSync(join(checkout, 'node_modules'), join(source, 'node_modules'))
  const program = join(folder, 'main.cjs')
  await build({
    absWorkingDir: source,
    entryPoints: ['src/cli.ts'],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    // cli-table3 was for people, and is no longer installed.
    external: ['*.node', 'cpu-features', 'pg-native', 'cli-table3'],
    logLevel: 'error',
  })
  makeReadable(folder)
  return program
}

/** Undefined when git fails, or is not there. */
function git(...words: string[]): Buffer | undefined {
  try {
    const options = ['-c', 'safe.directory=*', '-C', checkout]
    return execFileSync('git', [...options, ...words], {
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 64 * 1024 ** 2,
    })
  } catch {
    return undefined
  }
}
