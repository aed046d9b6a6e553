import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildOptions, build as bundle, type Metafile } from 'esbuild'

const root = join(import.meta.dirname, '..')

/**
 * Writes what an installation runs into `folder`: `pgarch.cjs`, which checks Node.js and loads
 * `main.cjs`, the program with all its packages, and the packages' licences. Rejects on warnings too.
 */
export async function build(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  const start = { ...options('src/start.ts', 'node12'), bundle: false }
  await bundle({ ...start, outfile: join(folder, 'pgarch.cjs') })
  const { metafile } = await bundle({
    ...options('src/cli.ts', 'node24'),
    outfile: join(folder, 'main.cjs'),
    // ssh2 and pg try these and do without; a native add-on fits one version of Node.js alone.
    external: ['*.node', 'cpu-features', 'pg-native'],
    metafile: true,
  })
  await writeFile(join(folder, 'THIRD-PARTY.txt'), await licences(metafile))
}

/** CommonJS, as ssh2 does not run in an ESM bundle; `await import()` still loads on demand. */
function options(entry: string, target: string) {
  return {
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target,
    legalComments: 'external',
    logLevel: 'warning',
    logOverride: { 'empty-import-meta': 'error' },
  } satisfies BuildOptions
}

/** Name, version and licence text of every package of which something is in the bundle. */
async function licences(metafile: Metafile): Promise<string> {
  const packages = new Set(
    Object.keys(metafile.inputs).flatMap(
      (input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
    ),
  )
  const notices = await Promise.all(
    [...packages].sort().map((folder) => notice(join(root, folder))),
  )
  return `pgarch contains these packages.\n\n${notices.join('\n')}`
}

async function notice(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(
    await readFile(join(folder, 'package.json'), 'utf8'),
  )
  const texts = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice)/i.test(file)).sort()
  const contents = await Promise.all(texts.map((file) => readFile(join(folder, file), 'utf8')))
  if (contents.length === 0 && typeof license !== 'string') {
    throw new Error(`${name} comes without a licence`)
  }
  return [
    `${'='.repeat(80)}\n${name} ${version} (${license ?? 'licence below'})\n`,
    ...contents,
  ].join('\n')
}

if (import.meta.main) await build(join(root, 'dist'))
