import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import { installNode } from '../support/installation.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import { type Launched, launch, makeBench, segment, shells } from './launch.ts'

const bench = makeBench()
afterAll(() => bench.remove())

const nodeBelow = (modules: string) => join(modules, `node-linux-${process.arch}`, 'bin', 'node')
const packaged = nodeBelow(join(bench.root, 'node_modules'))
const words = ['push', `pg_wal/${segment}`, segment]
const fine = (node = packaged) => ({ status: 0, stdout: `${node}\n`, stderr: '' })

let folder: string
beforeEach(() => {
  bench.setProgram('console.log(process.execPath); process.exit(40)')
  folder = makeFolder(join(bench.dataDirectory, '..'), 'scratch')
})
afterEach(() => rmSync(folder, { recursive: true }))

describe.for(shells)('under %s', (shell) => {
  const run = (options: Parameters<typeof launch>[3] = {}) => launch(bench, shell, words, options)

  test('an empty environment is enough', () => {
    expect(run()).toMatchObject(fine())
  })

  test('words reach Node.js as they were given', () => {
    bench.setProgram('console.log(JSON.stringify(process.argv.slice(2))); process.exit(0)')
    const given = ['log', 'a b', '', '*', '$HOME', '--since', "it's"]
    expect(JSON.parse(launch(bench, shell, given).stdout)).toEqual(given)
  })

  test('symbolic links lead to the installation, relative ones and links to links too', () => {
    mkdirSync(join(folder, 'bin'))
    symlinkSync(bench.pgarch, join(folder, 'a link'))
    symlinkSync('../a link', join(folder, 'bin', 'pgarch'))
    symlinkSync(join(bench.root, 'bin'), join(folder, 'linked folder'))
    for (const pgarch of ['a link', 'bin/pgarch', 'linked folder/pgarch']) {
      expect(run({ pgarch: join(folder, pgarch) })).toMatchObject(fine())
      expect(run({ pgarch: `./${pgarch}`, cwd: folder })).toMatchObject(fine())
    }
    expect(run({ pgarch: 'pgarch', cwd: join(bench.root, 'bin') })).toMatchObject(fine())
  })

  test('PATH without readlink does no harm', () => {
    symlinkSync(bench.pgarch, join(folder, 'pgarch'))
    const environment = { PATH: '/nonexistent' }
    expect(run({ pgarch: join(folder, 'pgarch'), environment })).toMatchObject(fine())
  })

  test('the Node.js that npm put beside the package is found', () => {
    for (const part of ['bin', 'dist']) {
      cpSync(join(bench.root, part), join(folder, 'pgarch', part), { recursive: true })
    }
    installNode(folder)
    const launched = run({ pgarch: join(folder, 'pgarch', 'bin', 'pgarch') })
    expect(launched).toMatchObject(fine(nodeBelow(folder)))
  })

  test('PGARCH_NODE comes first, PATH last', () => {
    cpSync(join(bench.root, 'bin'), join(folder, 'bin'), { recursive: true })
    cpSync(join(bench.root, 'dist'), join(folder, 'dist'), { recursive: true })
    const pgarch = join(folder, 'bin', 'pgarch')
    const PATH = join(packaged, '..')
    expect(run({ pgarch, environment: { PATH } })).toMatchObject(fine())
    installNode(folder)
    const given = nodeBelow(folder)
    expect(run({ environment: { PGARCH_NODE: given, PATH } })).toMatchObject(fine(given))
  })

  test("the server's NODE_OPTIONS do not reach it", () => {
    const environment = { NODE_OPTIONS: '--require /nonexistent' }
    expect(run({ environment })).toMatchObject(fine())
  })

  test.for([
    ['closed standard streams', 'exec "$@" <&- 2>&-'],
    ['umask 0077', 'umask 0077; exec "$@"'],
    ['ignored signals', 'trap "" INT PIPE ALRM TTIN TTOU; exec "$@"'],
    ['a working directory that was removed', 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'],
  ])('%s do no harm', ([, script = '']) => {
    const inside = [...shell, bench.pgarch, ...words]
    const { status, stdout } = launchScript(script, inside, folder)
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${packaged}\n` })
  })

  test.for(['SIGTERM', 'SIGQUIT'] as const)(
    '%s to the process group, as the server sends it, ends launcher and Node.js',
    async (signal) => {
      const pidFile = join(folder, 'pid')
      bench.setProgram(`require('node:fs').writeFileSync('${pidFile}', String(process.pid))
        setInterval(() => {}, 1000)`)
      const [program = 'sh', ...flags] = shell
      const launcher = spawn(program, [...flags, bench.pgarch, ...words], {
        ...asUnprivileged(),
        cwd: folder,
        detached: true,
        env: {},
        stdio: 'ignore',
      })
      const ended = once(launcher, 'exit')
      const node = await readPid(pidFile)
      process.kill(-(launcher.pid ?? Number.NaN), signal)
      // bash and busybox never die of SIGQUIT.
      expect(await ended).toEqual(signal === 'SIGQUIT' ? [131, null] : [null, signal])
      await expect.poll(() => existsSync(`/proc/${node}/cwd`)).toBe(false)
    },
  )
})

/** Runs a command from a shell script that first spoils its surroundings. */
function launchScript(script: string, command: readonly string[], cwd: string): Launched {
  const scratch = { ...bench, pgarch: '-c' }
  return launch(scratch, ['/bin/sh'], [script, 'sh', ...command], { cwd })
}

async function readPid(file: string): Promise<number> {
  for (;;) {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
    if (text !== '') return Number(text)
    await sleep(20)
  }
}
