import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { archiveSegment, endSegment, startFleet, wakeArchiver } from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import { copyOfExamples, startNagios, startNrpe } from '../support/nagios.ts'
import { findProgram } from '../support/parts.ts'
import { freePort } from '../support/postgres.ts'
import { fingerprintOf } from '../support/rows.ts'
import { startSshd } from '../support/sshd.ts'
import { putStored } from '../support/stored.ts'
import { unprivileged } from '../support/unprivileged.ts'
import { makeSegment } from '../support/wal.ts'

const programs = ['/usr/sbin/nagios4', '/usr/sbin/nrpe', '/usr/lib/nagios/plugins/check_nrpe']

test.skipIf(programs.some((program) => findProgram(program) === undefined))(
  'a real Nagios sees a host and its cluster go from OK to WARNING, to CRITICAL, and to OK again',
  async () => {
    const fleet = await startFleet({ environment: { PGARCH_PUSH_WORKER: 'on' } })
    const sshd = await startSshd({ folder: fleet.folder })
    const root = await fleet.addPath('berlin', { sshd })
    const config = join(fleet.folder, 'pgarch.toml')
    const configure = (text: string) => {
      writeFileSync(config, text)
      ownByUnprivileged(config)
    }
    const local = makeFolder(fleet.folder, 'local')
    const withLocal = `[local_archive]\ndirectory = "${local}"\nreserve = "1MB"\n`
    configure(withLocal)
    const environment = { ...fleet.environment, PGARCH_CONFIG: config }
    const primary = await fleet.startPrimary('app', ['berlin'], { environment })
    if (unprivileged.name !== 'postgres') {
      await primary.query(`create role "${unprivileged.name}" superuser login`)
    }
    await archiveSegment(primary)
    const fingerprint = await fingerprintOf(fleet, 'app')
    const drain = () =>
      fleet.pgarch(['local', 'drain'], { cwd: primary.dataDirectory, environment })

    const examples = copyOfExamples(fleet.folder)
    expect(readdirSync(examples).sort()).toEqual(['commands.cfg', 'nrpe.cfg', 'services.cfg'])
    const [commands = '', nrpe = '', services = ''] = ['commands', 'nrpe', 'services'].map((name) =>
      join(examples, `${name}.cfg`),
    )
    const { pgarch } = installation()
    adapt(nrpe, {
      '/usr/bin/sudo -n': `${makeSudo(fleet.folder, environment)} -n`,
      '/usr/local/bin/pgarch check --': `${pgarch} check --`,
    })
    await fleet.schedule.query('create role watcher login in role pgarch_monitor, pg_monitor')
    const central = join(fleet.folder, 'nagios.toml')
    const url = fleet.schedule.url('pgarch', 'watcher')
    const identity = fleet.environment.PGARCH_SSH_IDENTITY
    writeFileSync(central, `[schedule]\nurl = "${url}"\n[ssh]\nidentity = "${identity}"\n`)
    adapt(commands, { '/usr/local/bin/pgarch': pgarch, '/etc/nagios4/pgarch.toml': central })
    const port = await freePort()
    const objects = join(fleet.folder, 'objects.cfg')
    writeFileSync(objects, exampleObjects(services, port))
    await startNrpe(fleet.folder, nrpe, port)
    const nagios = await startNagios(fleet.folder, [commands, services, objects])
    const until = (state: 'OK' | 'WARNING' | 'CRITICAL', says?: string) =>
      nagios.untilState('pgarch archiving', state, says)

    const well = await until('OK')
    expect(well.output).toBe('PGARCH OK: cluster "app": nothing waits to be archived')
    expect(well.performanceData).toMatch(/^ready_age=[\d.]+s;300;900;0 /)
    for (const name of ['pgarch fleet', 'pgarch cluster app', 'pgarch path berlin']) {
      await nagios.untilState(name, 'OK')
    }
    const proved = await nagios.untilState('pgarch end to end', 'OK')
    expect(proved.output).toMatch(/was fetched [\d.]+ s after its end, and is what the server/)

    sshd.kill()
    await archiveSegment(primary)
    const used = await until('WARNING')
    expect(used.output).toMatch(
      /^PGARCH WARNING: .*: \d+ files? (is|are) in the local archive alone/,
    )
    expect(used.longOutput).toContain('HINT: Mend a path.')
    await nagios.untilState('pgarch cluster app', 'WARNING')
    await nagios.untilState('pgarch path berlin', 'CRITICAL')

    configure('# no local archive\n')
    await endSegment(primary)
    // The server tells of a failure first, and pgarch why.
    const dead = await until('CRITICAL', 'could not be archived at')
    expect(dead.output).toMatch(/(\w{24}) could not be archived at .*: no path .* took "\1"/)
    await nagios.untilState('pgarch fleet', 'CRITICAL')

    await sshd.restart()
    await wakeArchiver(primary)
    await archiveSegment(primary)
    await drain()
    await until('OK')
    for (const name of ['pgarch path berlin', 'pgarch cluster app', 'pgarch fleet']) {
      await nagios.untilState(name, 'OK')
    }

    const [row] = await primary.query<{ id: string; segno: number }>(
      `select system_identifier::text as id,
              (pg_current_wal_lsn() - '0/0')::bigint / 1048576 as segno
       from pg_control_system()`,
    )
    const [segno, systemIdentifier] = [Number(row?.segno), row?.id ?? '']
    const walName = `00000001${'0'.repeat(8)}${segno.toString(16).toUpperCase().padStart(8, '0')}`
    const bytes = makeSegment({ segno, walSegmentSize: 1024 * 1024, systemIdentifier, fill: 7 })
    await putStored(root, fingerprint, { walName, bytes, systemIdentifier })
    await endSegment(primary)
    const conflict = await until('CRITICAL', `${walName} could not be archived at`)
    expect(conflict.output).toMatch(/other content/)
    expect(conflict.longOutput).toContain('See docs/conflicts.md')
    const told = await nagios.untilState('pgarch cluster app', 'CRITICAL')
    expect(told.output).toMatch(/1 conflict/)

    await fleet.admin('conflict', 'set-aside', 'app', walName, '--reason', 'it was a test')
    await wakeArchiver(primary)
    await until('OK')
    await nagios.untilState('pgarch cluster app', 'OK')
  },
  600_000,
)

/** Those in the comment of services.cfg, but here; linux-server's ping is of another package. */
function exampleObjects(services: string, nrpePort: number): string {
  const lines = readFileSync(services, 'utf8').split('\n')
  const here = `address 127.0.0.1\nmax_check_attempts 1\n_NRPE_PORT ${nrpePort}`
  return lines
    .filter((line) => line.startsWith('#   '))
    .map((line) => line.slice(4))
    .join('\n')
    .replaceAll('linux-server', 'generic-host')
    .replaceAll(/^ *address .*$/gm, here)
}

/** Replaces texts in a file that Nagios or NRPE reads; each must be there. */
function adapt(file: string, replacements: Readonly<Record<string, string>>): void {
  let text = readFileSync(file, 'utf8')
  for (const [from, to] of Object.entries(replacements)) {
    expect(text).toContain(from)
    text = text.replaceAll(from, to)
  }
  writeFileSync(file, text)
}

/** A `sudo` for the user that NRPE already runs as; both clear the environment. */
function makeSudo(parent: string, environment: Readonly<Record<string, string>>): string {
  const sudo = join(makeFolder(parent, 'bin'), 'sudo')
  const variables = Object.entries(environment).map(
    ([name, value]) => `export ${name}='${value}'\n`,
  )
  const run = '[ "$1 $2 $3" = "-n -u postgres" ] && shift 3 && exec "$@"\n'
  writeFileSync(sudo, `#!/bin/sh\n${variables.join('')}${run}`)
  chmodSync(sudo, 0o755)
  return sudo
}
