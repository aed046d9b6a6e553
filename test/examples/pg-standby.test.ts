import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../support/fleet.ts'
import { ownByUnprivileged } from '../support/folder.ts'
import { checkout } from '../support/installation.ts'
import { findProgram } from '../support/parts.ts'
import {
  makeStandbyHost,
  makeSubfolder,
  megabyte,
  restored,
  type StandbyHost,
  segmentOf,
  shells,
} from './pg-standby-host.ts'

/** What section 4 of pg_standby's behaviour says, of its last version, in PostgreSQL 13. */

const next = '000000010000000000000007'

it.skipIf(!findProgram('shellcheck')).each(['examples/pg_standby', 'bin/pgarch', 'scripts/run'])(
  'shellcheck finds nothing to say of %s',
  (script) => {
    expect(execFileSync('shellcheck', [join(checkout, script)], { encoding: 'utf8' })).toBe('')
  },
)

describe.each(shells.map((shell) => ({ name: shell.join(' '), shell })))(
  'under $name',
  ({ shell }) => {
    let host: StandbyHost
    let trigger: string
    beforeEach(() => {
      host = makeStandbyHost()
      onTestFinished(host.remove)
      trigger = join(host.folder, 'trigger')
    })

    const command = (options: readonly string[], operands: readonly string[]) => [
      ...shell,
      host.program,
      ...options,
      ...operands,
    ]
    /** Restores the segment `next`, or another file, with these options; see StandbyHost.run. */
    const run = (
      options: readonly string[] = [],
      { name = next, meanwhile = '', restart }: Partial<Record<string, string>> = {},
    ) => {
      const operands = [host.archive, name, host.destination]
      return host.run(
        command(options, restart === undefined ? operands : [...operands, restart]),
        meanwhile,
      )
    }
    const setTrigger = (content: string) => {
      writeFileSync(trigger, content)
      ownByUnprivileged(trigger)
    }

    describe('waiting', () => {
      it('a segment that is there is restored', async () => {
        host.put(next)
        expect(await run()).toMatchObject({ status: 0, slept: [], stderr: '', stdout: '' })
        expect(restored(host)).toEqual(segmentOf(next))
      })

      it('one that is not is waited for, and one that is being copied, too', async () => {
        host.put('whole', segmentOf(next))
        const half = `head -c 500000 whole >${next}`
        const meanwhile = `cd archive; [ $n != 2 ] || ${half}; [ $n != 3 ] || cp whole ${next}`
        expect(await run(['-s', '2'], { meanwhile })).toMatchObject({ status: 0, slept: [2, 2, 2] })
        expect(restored(host)).toEqual(segmentOf(next))
      })

      it.each([
        [
          ['-w', '3', '-s', '1'],
          [1, 1, 1, 1],
        ],
        [
          ['-w', '7'],
          [5, 5],
        ],
        [
          ['-w', '1', '-s', '1'],
          [1, 1],
        ],
      ])('%j: gives up after so many pauses', async (options, slept) => {
        expect(await run(options)).toMatchObject({ status: 1, slept })
        expect(restored(host)).toBeUndefined()
      })

      it('larger than a segment of its header is 3', async () => {
        host.put(next, Buffer.concat([segmentOf(next), Buffer.alloc(1)]))
        expect(await run()).toMatchObject({ status: 3, slept: [] })
        expect(restored(host)).toBeUndefined()
      })

      it.each([
        ['zeros', 0, { status: 1, slept: [1, 1] }],
        ['negative', 0x80000000, { status: 1, slept: [1, 1] }],
        ['less than the file', 5000, { status: 3, slept: [] }],
      ])('an invalid size in the header, %s', async (_title, size, ended) => {
        const segment = segmentOf(next)
        segment.writeUInt32LE(size, 32)
        host.put(next, segment)
        const { stderr, ...found } = await run(['-w', '1', '-s', '1'])
        expect(found).toMatchObject(ended)
        expect(stderr).toContain('gives an invalid segment size')
      })

      it.each(['.partial', '.00000028.backup'])('%s is waited for, be it there', async (ending) => {
        const name = `${next}${ending}`
        host.put(name, segmentOf(next))
        expect(await run(['-w', '1', '-s', '1'], { name })).toMatchObject({
          status: 1,
          slept: [1, 1],
        })
      })

      it('it tries again with longer pauses where it cannot copy', async () => {
        host.put(next)
        const nowhere = join(host.folder, 'nowhere/RECOVERYXLOG')
        const failed = await host.run(
          command(['-s', '2', '-r', '2'], [host.archive, next, nowhere]),
        )
        expect(failed).toMatchObject({ status: 1, slept: [2, 4] })
        expect(readdirSync(host.archive)).toEqual([next])
      })

      it('a segment that may not be written to is waited for', async () => {
        host.put(next)
        execFileSync('chmod', ['444', join(host.archive, next)])
        const { stderr, status } = await run(['-w', '1', '-s', '1'])
        expect(status).toBe(1)
        expect(stderr).toContain('could not open WAL file')
      })
    })

    describe('a history file', () => {
      const name = '00000002.history'

      it('is restored', async () => {
        host.put(name, Buffer.from('1\t0/3000000\tx\n'))
        setTrigger('fast')
        expect(await run(['-t', trigger], { name })).toMatchObject({ status: 0, slept: [] })
        expect(String(restored(host))).toBe('1\t0/3000000\tx\n')
        expect(readFileSync(trigger, 'utf8')).toBe('fast')
      })

      it.each([
        [[], [5, 10, 15]],
        [['-r', '0'], []],
        [['-r1', '-s7'], [7]],
      ])(
        'that is not there is not waited for, but tried again, with %j',
        async (options, slept) => {
          expect(await run(options, { name })).toMatchObject({ status: 1, slept })
        },
      )

      it('comes while it tries', async () => {
        const meanwhile = `echo x >archive/${name}`
        expect(await run([], { name, meanwhile })).toMatchObject({ status: 0, slept: [5] })
      })
    })

    describe('the trigger file', () => {
      it.each([
        ['smart, empty', '', 0, 1, ''],
        ['smart', 'smart\n', 0, 1, 'smart\n'],
        ['fast', 'fast\n', 1, 1, ''],
        ['fast, without a newline', 'fast', 1, 1, ''],
      ])('%s', async (_title, content, ifThere, ifNot, after) => {
        setTrigger(content)
        expect(await run(['-t', trigger])).toMatchObject({ status: ifNot, slept: [] })
        expect(readFileSync(trigger, 'utf8')).toBe(after)
        setTrigger(content)
        host.put(next)
        const { stderr, ...ended } = await run(['-t', trigger])
        expect(ended).toMatchObject({ status: ifThere, slept: [] })
        expect(stderr).toContain(`trigger file found: ${ifThere === 0 ? 'smart' : 'fast'} failover`)
        expect(readFileSync(trigger, 'utf8')).toBe(after)
      })

      it('comes while it waits; a fast one is a smart one for the next call', async () => {
        const meanwhile = `[ $n != 3 ] || echo fast >trigger; [ $n != 3 ] || cp -r whole archive/${next}`
        writeFileSync(join(host.folder, 'whole'), segmentOf(next))
        expect(await run(['-t', trigger], { meanwhile })).toMatchObject({
          status: 1,
          slept: [5, 5, 5],
        })
        expect(await run(['-t', trigger])).toMatchObject({ status: 0, slept: [] })
      })

      it.each([
        ['other content', 'promote'],
        ['a name that only begins so', ' fast'],
      ])('%s is warned of, and ignored', async (_title, content) => {
        setTrigger(content)
        const { stderr, ...ended } = await run(['-t', trigger, '-w', '1', '-s', '1'])
        expect(ended).toMatchObject({ status: 1, slept: [1, 1] })
        expect(stderr).toBe(`WARNING: invalid content in "${trigger}"\n`.repeat(3))
        expect(readFileSync(trigger, 'utf8')).toBe(content)
      })

      it('one that cannot be opened is warned of, and ignored', async () => {
        setTrigger('fast')
        execFileSync('chmod', ['444', trigger])
        host.put(next)
        const { stderr, status } = await run(['-t', trigger])
        expect({ stderr, status }).toEqual({
          stderr: `WARNING: could not open "${trigger}"\n`,
          status: 0,
        })
        const directory = makeSubfolder(host, 'directory')
        expect((await run(['-t', directory])).stderr).toBe(
          `WARNING: could not open "${directory}"\n`,
        )
      })
    })

    describe('clean-up', () => {
      const before = '000000010000000000000003'
      const older = '000000020000000000000005'
      const others = ['00000002.history', `${before}.partial`, `${before}.00000028.backup`, 'notes']
      const names = [before, older, '000000010000000000000006', next, ...others]

      it.each([
        ['nothing without -k and %r', [], undefined, names],
        [
          '-k 2, whatever the timeline',
          ['-k', '2'],
          undefined,
          names.filter((name) => name !== before),
        ],
        ['-k 1', ['-k1'], undefined, [names[2], next, ...others]],
        ['%r', ['-k', '7'], '000000010000000000000006', [names[2], next, ...others]],
        ['%r of zeros', ['-k', '1'], '0'.repeat(24), names],
        ['%r that is later than the segment', ['-k', '1'], '000000010000000000000008', names],
        ['-k beyond the first segment', ['-k', '50'], undefined, names],
      ])('%s', async (_title, options, restart, stay) => {
        for (const name of names) host.put(name)
        const { status, stderr } = await run(
          options as string[],
          restart === undefined ? {} : { restart },
        )
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
        expect(readdirSync(host.archive).sort()).toEqual([...stay].sort())
      })

      it('is left to the next call when nothing was restored, or a trigger ended it', async () => {
        for (const name of names) host.put(name)
        setTrigger('fast')
        expect((await run(['-t', trigger, '-k', '1'])).status).toBe(1)
        const nowhere = join(host.folder, 'nowhere/x')
        await host.run(command(['-k', '1', '-r', '0'], [host.archive, next, nowhere]))
        expect(readdirSync(host.archive).sort()).toEqual([...names].sort())
      })

      it('reckons with one segment too few in a log, as pg_standby did', async () => {
        const size = 16 * megabyte
        const first = '000000010000000200000005'
        host.put(first, segmentOf(first, size))
        const log = ['F9', 'FA', 'FB'].map((seg) => `0000000100000001000000${seg}`)
        for (const name of log) host.put(name, Buffer.alloc(1))
        expect((await run(['-k', '10'], { name: first })).status).toBe(0)
        expect(readdirSync(host.archive).sort()).toEqual([...log.slice(1), first])
      })

      it('removes nothing for the first segment of a log', async () => {
        const first = '000000010000000100000000'
        for (const name of [before, first]) host.put(name)
        expect((await run(['-k', '1'], { name: first })).status).toBe(0)
        expect(readdirSync(host.archive)).toContain(before)
      })
    })

    describe('the command line', () => {
      it.each([
        [[], 'not enough command-line arguments'],
        [['-c'], 'must specify archive location'],
        [['.'], 'must specify WAL file name as second non-option argument (use "%f")'],
        [['.', next], 'must specify xlog destination as third non-option argument (use "%p")'],
        [['nowhere', next, 'x'], 'archive location "nowhere" does not exist'],
        [['-k', '-1', '.', next, 'x'], '-k keepfiles must be >= 0'],
        [['-r', '-1', '.', next, 'x'], '-r maxretries must be >= 0'],
        [['-s', '0', '.', next, 'x'], '-s sleeptime incorrectly set'],
        [['-s', 'five', '.', next, 'x'], '-s sleeptime incorrectly set'],
        [['-s', '61', '.', next, 'x'], '-s sleeptime incorrectly set'],
        [['-w', '-5', '.', next, 'x'], '-w maxwaittime incorrectly set'],
        [['-x', '.', next, 'x'], "invalid option -- 'x'"],
        [['.', next, 'x', '-t'], "option requires an argument -- 't'"],
      ])('%j is 2', async (words, message) => {
        const { status, stderr } = await host.run([...shell, host.program, ...words])
        expect(status).toBe(2)
        expect(stderr).toContain(`pg_standby: ${message}\n`)
      })

      it.each([
        ['-V', /^pg_standby /],
        ['--version', /^pg_standby /],
        ['-?', /Usage:\n {2}pg_standby \[OPTION\]/],
        ['--help', /Usage:\n {2}pg_standby \[OPTION\]/],
      ])('%s', async (option, text) => {
        const { status, stdout } = await host.run([...shell, host.program, option, 'x'])
        expect(status).toBe(0)
        expect(stdout).toMatch(text)
      })

      it('takes options behind operands, together, with digits as C reads them, and more operands', async () => {
        host.put(next)
        const operands = [host.archive, next, host.destination, next]
        const words = ['-cldk08x', ...operands, '-s', ' +010s', 'more', '-w2']
        const { status, stderr } = await host.run([...shell, host.program, ...words])
        expect(status).toBe(0)
        expect(stderr).toContain(
          'Sleep interval:       10 seconds\nMax wait interval:    2 seconds',
        )
        expect(stderr).toContain(`Keep archive history: ${next} and later`)
        const ended = await host.run([...shell, host.program, '-r0', '--', ...operands, '-x'])
        expect(ended.status).toBe(0)
      })
    })

    describe('signals', () => {
      /** Resolves once it sleeps. */
      const waiting = async (words: readonly string[]) => {
        const started = host.start(words)
        const { pid } = started.process
        await waitFor('it sleeps', () => {
          const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
          return (
            children !== '' &&
            readFileSync(`/proc/${children.split(' ')[0]}/comm`, 'utf8') === 'sleep\n'
          )
        })
        return started
      }

      it.each([
        ['SIGUSR1', { status: 1, signal: null }],
        ['SIGINT', { status: 1, signal: null }],
        ['SIGQUIT', { status: null, signal: 'SIGINT' }],
        ['SIGTERM', { status: null, signal: 'SIGTERM' }],
      ] as const)('%s ends it at once, and its sleep', async (signal, how) => {
        const { process: child, ended } = await waiting(
          command(['-s', '60'], [host.archive, next, host.destination]),
        )
        child.kill(signal)
        await once(child, 'exit')
        // Of its process group nobody is left, long before the sleep is over.
        await waitFor(
          'its sleep ended',
          () => {
            try {
              process.kill(-(child.pid ?? 0), 0)
              return false
            } catch {
              return true
            }
          },
          20_000,
        )
        expect(await ended).toMatchObject(how)
      })
    })
  },
)

it('SIGINT is a failover also for whoever is started with that signal ignored, as the server does', async () => {
  const host = makeStandbyHost()
  onTestFinished(host.remove)
  const line = `trap '' INT; exec "$0" -s 60 -d archive ${next} x`
  const { process: child, ended } = host.start(['sh', '-c', line, host.program])
  await waitFor('it looks', () => {
    const { pid } = child
    return (
      readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8') !== '' &&
      readFileSync(`/proc/${pid}/status`, 'utf8').includes('SigIgn:\t0000000000000000')
    )
  })
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ status: 1, signal: null })
})
