import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import { type Host, lifeName, makeHost, makeNode, own, postmasterPid } from './host.ts'
import { launch, makeBench, segment, shells } from './launch.ts'

const bench = makeBench()
afterAll(() => bench.remove())
const node = makeNode(bench)

let folder: string
let host: Host
beforeEach(() => {
  folder = makeFolder(join(bench.dataDirectory, '..'), 'scratch')
  host = makeHost(folder)
})
afterEach(() => rmSync(folder, { recursive: true }))

const isRoot = process.getuid?.() === 0
const believed = { status: 0, stdout: '', stderr: '' }
const askedNode = { status: 0, stdout: 'node\n', stderr: '' }

describe.for(shells)('under %s', (shell) => {
  const push = (
    words = [`pg_wal/${segment}`, segment],
    { cwd = host.dataDirectory, environment = {} } = {},
  ) =>
    launch(bench, shell, ['push', ...words], {
      cwd,
      environment: { PGARCH_STATE_DIR: host.base, PGARCH_NODE: node, ...environment },
    })

  test('a marker of this life of this server counts', () => {
    expect(push()).toMatchObject(askedNode)
    host.tell('pushed')
    expect(push()).toMatchObject(believed)
  })

  describe('it does not count', () => {
    beforeEach(() => host.tell('pushed'))

    test.for([{ pid: '4712' }, { start: '1700000060' }, { key: '5432002' }, { id: '655361' }])(
      'in another life: %o',
      (life) => {
        host.restart(life)
        expect(push()).toMatchObject(askedNode)
      },
    )

    test.for([0, 1, 2, 3, 4, 5, 6, 7])('while postmaster.pid has %i whole lines', (whole) => {
      const lines = postmasterPid().split('\n').slice(0, whole)
      // The last one lacks its newline.
      writeFileSync(join(host.dataDirectory, 'postmaster.pid'), lines.join('\n'))
      expect(push()).toMatchObject(askedNode)
    })

    test('when the server does not run', () => {
      rmSync(join(host.dataDirectory, 'postmaster.pid'))
      expect(push()).toMatchObject(askedNode)
    })

    test('for a single-user server, whose pid is negative', () => {
      host.restart({ pid: '-4711' })
      mkdirSync(join(host.state, 'pushed', lifeName({ pid: '-4711' })))
      writeFileSync(join(host.state, 'pushed', lifeName({ pid: '-4711' }), segment), '')
      expect(push()).toMatchObject(askedNode)
    })

    test.for(['', 'x'])('when the shared memory is no number but "%s"', (key) => {
      host.restart({ key, id: '' })
      mkdirSync(join(host.state, 'pushed', lifeName({ key, id: '' })))
      writeFileSync(join(host.state, 'pushed', lifeName({ key, id: '' }), segment), '')
      expect(push()).toMatchObject(askedNode)
    })

    test('in another data directory of this host', () => {
      const other = makeHost(folder, 'other', host.base)
      expect(push(undefined, { cwd: other.dataDirectory })).toMatchObject(askedNode)
    })

    test('for a cluster that was created anew in its place', () => {
      rmSync(host.dataDirectory, { recursive: true })
      makeHost(folder).restart({ start: '1700000060', id: '655361' })
      expect(push()).toMatchObject(askedNode)
    })

    test('in a copy of data and state that kept all times', () => {
      const copy = makeHost(folder, 'copy', host.base)
      rmSync(copy.dataDirectory, { recursive: true })
      rmSync(copy.state, { recursive: true })
      execFileSync('cp', ['-a', host.dataDirectory, copy.dataDirectory])
      execFileSync('cp', ['-a', host.state, copy.state])
      copy.restart({ pid: '4712', start: '1700000060' })
      expect(push(undefined, { cwd: copy.dataDirectory })).toMatchObject(askedNode)
    })

    test('after a restore in place, under the same pid', () => {
      host.restart({ start: '1700000060' })
      expect(push()).toMatchObject(askedNode)
    })

    test.runIf(isRoot)('in a state directory of another owner', () => {
      execFileSync('chown', ['0:0', host.state])
      expect(push()).toMatchObject(askedNode)
    })

    test.for([
      ['no name', 'pg_wal/', ''],
      ['a directory', 'pg_wal/.', '.'],
      ['another file', 'pg_wal/../../worker.pid', '../../worker.pid'],
      ['the current file under a path', `./pg_wal/${segment}`, segment],
      ['a file elsewhere', segment, segment],
      ['a name with a space', `pg_wal/${segment} `, `${segment} `],
      ['a pattern', 'pg_wal/0000000100000000*', '0000000100000000*'],
    ])('for %s', ([, path = '', name = '']) => {
      writeFileSync(join(host.state, 'worker.pid'), '1\n')
      writeFileSync(join(host.state, 'pushed', lifeName(), `${segment} `), '')
      expect(push([path, name])).toMatchObject(askedNode)
    })
  })

  describe('it counts', () => {
    test.for([
      'a b',
      'new\nline',
      'newline at its end\n',
      ' space ',
      '*?[a-z]',
      '-e',
      '$HOME',
      "it's",
      '\\n',
    ])('in a data directory named %j', (name) => {
      host = makeHost(folder, name)
      host.tell('pushed')
      expect(push()).toMatchObject(believed)
    })

    test('where the working directory was reached by a symbolic link, which PWD names', () => {
      host.tell('pushed')
      const link = join(folder, 'link')
      symlinkSync(host.dataDirectory, link)
      expect(push(undefined, { cwd: link, environment: { PWD: link } })).toMatchObject(believed)
    })

    test.for([
      { PWD: '/', OLDPWD: '/' },
      { CDPATH: '/:/tmp' },
      { IFS: '-/0123456789' },
      { ENV: '/nonexistent', BASH_ENV: '/nonexistent' },
      { SHELLOPTS: 'errexit:nounset:noglob:noclobber' },
      { PATH: '/nonexistent' },
      { LC_ALL: 'C.UTF-8' },
      { life: 'x', pid: 'x', state: '/', pushed: '/', failed: '/' },
    ])('with %o in the environment', (environment) => {
      host.tell('pushed')
      expect(push(undefined, { environment })).toMatchObject(believed)
    })

    test('when the base of state directories is a symbolic link, or ends with a slash', () => {
      host.tell('pushed')
      symlinkSync(host.base, join(folder, 'base'))
      for (const base of [join(folder, 'base'), `${host.base}/`]) {
        expect(push(undefined, { environment: { PGARCH_STATE_DIR: base } })).toMatchObject(believed)
      }
    })

    test.for([
      ['umask 0777', 'umask 0777; exec "$@"'],
      ['closed standard streams', 'exec "$@" <&- >&- 2>&-'],
      ['ignored signals', 'trap "" INT QUIT PIPE ALRM; exec "$@"'],
      ['a read-only working directory', 'exec "$@"'],
    ])('with %s', ([, script = '']) => {
      host.tell('pushed')
      for (const path of [join(host.dataDirectory, 'pg_wal'), host.dataDirectory, host.state]) {
        chmodSync(path, 0o500)
      }
      const command = [...shell, bench.pgarch, 'push', `pg_wal/${segment}`, segment]
      const launched = launch({ ...bench, pgarch: '-c' }, ['/bin/sh'], [script, 'sh', ...command], {
        cwd: host.dataDirectory,
        environment: { PGARCH_STATE_DIR: host.base },
      })
      expect(launched).toMatchObject(believed)
    })
  })

  test("options that bash takes from the environment do not make Node's code an answer", () => {
    const failing = join(folder, 'node')
    writeFileSync(failing, '#!/bin/sh\nexit 45\n', { mode: 0o755 })
    own(failing)
    const environment = { PGARCH_NODE: failing, SHELLOPTS: 'errexit' }
    const options = { cwd: host.dataDirectory, environment }
    expect(push(undefined, { environment }).status).toBe(1)
    const words = ['fetch', segment, 'pg_wal/RECOVERYXLOG']
    expect(launch(bench, shell, words, options).status).toBe(200)
  })
})
