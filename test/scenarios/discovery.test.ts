import { chmodSync, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { baseBackup } from '../support/base-backup.ts'
import { makeCertificate, tlsSettings } from '../support/certificate.ts'
import { archiveSegment, endRests, type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged, temporaryFolder } from '../support/folder.ts'
import { type Named, startNamed } from '../support/named.ts'
import { findProgram } from '../support/parts.ts'
import { type Server, startFrom, startServer } from '../support/postgres.ts'

// Hosts know their domain, and have the password file and the root certificate that libpq looks for.

const folder = temporaryFolder('discovery')
afterAll(folder.remove)
const domain = 'pgarch.test'

let named: Named
let fleet: Fleet
let schedule: Server
let standby: Server
let primary: Server

describe.skipIf(!findProgram('named') || !findProgram('nsupdate'))('discovery', () => {
  beforeAll(async () => {
    named = await startNamed(folder.path, domain)
    const files = makeCertificate(folder.path, 'server', [`one.${domain}`, `two.${domain}`])
    schedule = await startServer()
    schedule.configure(tlsSettings(files))
    await schedule.stop()
    await schedule.start()
    fleet = await startFleet({ schedule, environment: { PGARCH_DNS_SERVERS: named.server } })
    await schedule.query("alter role pgarch_agent password 'secret'")
    writeFileSync(
      join(schedule.dataDirectory, 'pg_hba.conf'),
      'local all,replication all trust\nhostssl all pgarch_agent all scram-sha-256\nhost all postgres all trust\n',
    )
    await schedule.query('select pg_reload_conf()')
    const copy = join(schedule.folder, 'standby')
    await baseBackup(schedule, copy, { includeWal: true })
    const following = `host=${schedule.socketDirectory} port=${schedule.port} user=postgres`
    standby = await startFrom(copy, {
      signal: 'standby',
      settings: { primary_conninfo: following },
    })
    equip(files.certificate)
    await named.update(
      'add one 1 A 127.0.0.1',
      'add two 1 A 127.0.0.1',
      `add _pgarch._tcp 1 SRV 10 0 ${schedule.port} one.${domain}.`,
      `add _pgarch._tcp 1 SRV 20 0 ${standby.port} two.${domain}.`,
    )
    await fleet.addPath('berlin')
    primary = await fleet.startPrimary('app', ['berlin'], { environment: domainAlone })
  })
  afterAll(() => named?.stop())

  const domainAlone = { PGARCH_SCHEDULE_URL: '', PGARCH_SCHEDULE_DOMAIN: domain }

  function equip(certificate: string): void {
    const passwords = join(fleet.folder, '.pgpass')
    writeFileSync(passwords, '*:*:pgarch:pgarch_agent:secret\n')
    chmodSync(passwords, 0o600)
    ownByUnprivileged(passwords)
    copyFileSync(certificate, join(makeFolder(fleet.folder, '.postgresql'), 'root.crt'))
  }

  const recorded = async (at: Server) => {
    const [row] = await at.query<{ name: string | null }>(
      'select max(wal_name) as name from pgarch.arch_copy',
      [],
      'pgarch',
    )
    return row?.name
  }

  it('a host that knows nothing but its domain archives, restores and tells what it does', async () => {
    const segment = await archiveSegment(primary)
    expect(await recorded(schedule)).toBe(segment)
    expect(primary.log()).not.toContain('pgarch: ')
    const options = { cwd: primary.dataDirectory, environment: domainAlone }
    const fetched = await fleet.pgarch(['fetch', segment, 'pg_wal/RECOVERYXLOG'], options)
    expect(fetched).toEqual({ status: 0, stdout: '', stderr: '' })
    const words = ['path', 'list', '--schedule', 'postgresql://postgres@/pgarch', '--json']
    const { stdout } = await fleet.pgarch(words, options)
    expect(JSON.parse(stdout)).toMatchObject([{ name: 'berlin' }])
  })

  it('without a URL and without a domain nothing can be asked, and it says what to set', async () => {
    const environment = { PGARCH_SCHEDULE_URL: '' }
    const { status, stderr } = await fleet.pgarch(['path', 'list'], { environment })
    expect(status).toBe(64)
    expect(stderr).toContain("the scheduling database's URL is not set")
    expect(stderr).toContain('schedule.domain')
  })

  it('the resolver is down: records are delivered as before', async () => {
    await named.stop()
    const before = primary.log().length
    const segment = await archiveSegment(primary)
    expect(primary.log().slice(before)).toContain('going on with its last answer')
    expect(await recorded(schedule)).toBe(segment)
    await named.start()
  })

  it('the scheduling database fails over to the server of the next priority', async () => {
    await schedule.stop('immediate')
    const meanwhile = await archiveSegment(primary)
    expect((await recorded(standby)) === meanwhile).toBe(false)
    await standby.query('select pg_promote()')
    endRests(fleet, primary)
    const segment = await archiveSegment(primary)
    expect(await recorded(standby)).toBe(segment)
    const [counted] = await standby.query(
      'select count(*)::int as files from pgarch.arch_copy where wal_name = any ($1)',
      [[meanwhile, segment]],
      'pgarch',
    )
    expect(counted).toEqual({ files: 2 })
  })
})
