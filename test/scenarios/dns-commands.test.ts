import { spawnSync } from 'node:child_process'
import { Resolver } from 'node:dns/promises'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { type Named, startNamed, zoneFile } from '../support/named.ts'
import { findProgram } from '../support/parts.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'

const folder = temporaryFolder('dns-commands')
afterAll(folder.remove)
const domain = 'pgarch.test'

let named: Named
let fleet: Fleet
let sshd: Sshd

interface Line {
  readonly of: string
  readonly host: string
  readonly recorded: string | null
  readonly addresses: readonly string[]
  readonly trouble?: string
}

const programs = ['named', 'nsupdate', 'named-checkzone'].every((name) => findProgram(name))
describe.skipIf(!programs)('pgarch dns', () => {
  beforeAll(async () => {
    named = await startNamed(folder.path, domain)
    fleet = await startFleet({ environment: { PGARCH_DNS_SERVERS: named.server } })
    sshd = await startSshd({ folder: fleet.folder, address: '127.0.0.2' })
    await named.update('add nas 1 A 127.0.0.2', 'add db 1 A 10.0.0.9')
    await fleet.addPath('near', { sshd, host: `nas.${domain}` })
    await fleet.addPath('direct', { sshd })
    await fleet.addPath('local')
    await insertCluster('app', `db.${domain}`, '10.0.0.9')
    await insertCluster('bare', '10.0.0.7', null)
    await insertCluster('nameless', null, null)
  })
  afterAll(() => named?.stop())

  const insertCluster = (name: string, host: string | null, vip: string | null) =>
    fleet.rows(
      `insert into pgarch.arch_db_info (name, host, vip, port, system_identifier, wal_segment_size)
       values ($1, $2, $3, 5432, 1, 1048576)`,
      [name, host, vip],
    )

  const dba = (words: readonly string[], environment: Record<string, string> = {}) =>
    fleet.pgarch(words, { admin: true, environment })

  async function check(...words: string[]): Promise<{ status: number | null; lines: Line[] }> {
    const { status, stdout, stderr } = await dba(['dns', 'check', '--json', ...words])
    expect(stderr).toBe('')
    return { status, lines: JSON.parse(stdout) }
  }
  const troubles = ({ lines }: { lines: Line[] }) =>
    lines.flatMap(({ of, trouble }) => (trouble === undefined ? [] : [`${of}: ${trouble}`]))

  const versions = () =>
    fleet.rows(
      `select d.name, d.route_version, p.ssh_ip from pgarch.arch_db_info d, pgarch.arch_path_info p
       where p.name = 'near' order by 1`,
    )

  it('names that lead where they are recorded to lead agree', async () => {
    const found = await check()
    expect(found.lines).toMatchObject([
      { kind: 'path', of: 'near', host: `nas.${domain}`, recorded: '127.0.0.2' },
      { kind: 'cluster', of: 'app', host: `db.${domain}`, addresses: ['10.0.0.9'] },
    ])
    expect(troubles(found)).toEqual([])
    expect(found.status).toBe(0)
    const { stdout } = await dba(['dns', 'check'])
    expect(stdout).toMatch(/path near +nas.pgarch.test +127.0.0.2 +127.0.0.2 +agrees/)
  })

  it('what does not agree is told until it is recorded, and no host reads its route again for it', async () => {
    await fleet.admin('route', 'set', 'app', 'near', '--priority', '1')
    const before = await versions()
    await named.update(
      'delete nas A',
      'add nas 1 A 127.0.0.3',
      'delete db A',
      'add db 1 A 10.0.0.8',
    )
    const other = 'another address is recorded'
    for (let times = 0; times < 2; times++) {
      const found = await check()
      expect(troubles(found)).toEqual([`near: ${other}`, `app: ${other}`])
      expect(found.status).toBe(1)
    }
    expect(await versions()).toEqual(before)

    const updating = await check('--update')
    expect(updating.status).toBe(1)
    expect(troubles(updating)).toEqual([
      `near: ${other}: now it is 127.0.0.3`,
      `app: ${other}: now it is 10.0.0.8`,
    ])
    expect(await check()).toMatchObject({ status: 0 })
    expect(await versions()).toEqual(before.map((row) => ({ ...row, ssh_ip: '127.0.0.3' })))
    expect(JSON.parse((await dba(['cluster', 'show', 'app', '--json'])).stdout).vip).toBe(
      '10.0.0.8',
    )
  })

  it('an address that another cluster has is not recorded, and the others are', async () => {
    await insertCluster('second', `second.${domain}`, null)
    await insertCluster('third', `third.${domain}`, null)
    await fleet.rows("update pgarch.arch_db_info set idc = 'b' where name in ('app', 'second')")
    await named.update('add second 1 A 10.0.0.8', 'add third 1 A 10.0.0.10')
    const found = await check('--update')
    expect(troubles(found)).toEqual([
      'second: no address is recorded: another cluster has this idc, vip and port',
      'third: no address is recorded: now it is 10.0.0.10',
    ])
    await fleet.rows("delete from pgarch.arch_db_info where name in ('second', 'third')")
  })

  it('a name that nobody knows, and a resolver that does not answer, are told from one another', async () => {
    await named.update('delete nas A')
    onTestFinished(() => named.update('add nas 1 A 127.0.0.3'))
    expect(troubles(await check())).toEqual([
      `near: could not resolve "nas.${domain}": there is no such name`,
    ])
    await named.stop()
    const found = await check('--update')
    await named.start()
    expect(troubles(found)).toEqual([
      `near: could not resolve "nas.${domain}": no DNS server answers`,
      `app: could not resolve "db.${domain}": no DNS server answers`,
    ])
    expect(found.status).toBe(1)
  })

  it('a path that is reached by its address alone is read again when that is another', async () => {
    await fleet.admin('route', 'set', 'app', 'direct', '--priority', '2')
    const before = await versions()
    await fleet.rows("update pgarch.arch_path_info set ssh_ip = '127.0.0.9' where name = 'direct'")
    expect(await versions()).not.toEqual(before)
  })

  it('the zone holds what is recorded, and a name server loads it', async () => {
    const { port } = fleet.schedule
    const servers = `one.${domain}:${port},two.${domain}`
    const url = fleet.schedule.url('pgarch').replace('127.0.0.1', servers)
    await named.update('add one 1 A 127.0.0.1')
    const words = ['dns', 'zone', '--domain', domain, '--ttl', '1min', '--schedule', url]
    const { status, stdout, stderr } = await dba(words)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const include = join(folder.path, 'pgarch.zone')
    writeFileSync(include, stdout)
    writeFileSync(
      join(folder.path, 'zone'),
      `${zoneFile(domain)}$INCLUDE ${include}\none A 127.0.0.1\ntwo A 127.0.0.1\n`,
    )
    const checked = spawnSync(
      'named-checkzone',
      ['-k', 'fail', '-D', domain, join(folder.path, 'zone')],
      {
        encoding: 'utf8',
      },
    )
    expect(checked).toMatchObject({ status: 0 })
    const loaded = checked.stdout.replaceAll(/[ \t]+/g, ' ')
    expect(loaded).toContain(`nas.${domain}. 60 IN A 127.0.0.3\n`)
    expect(loaded).toContain(`db.${domain}. 60 IN A 10.0.0.8\n`)
    expect(loaded).toContain(`_pgarch._tcp.${domain}. 60 IN SRV 10 0 ${port} one.${domain}.\n`)
    expect(loaded).toContain(`_pgarch._tcp.${domain}. 60 IN SRV 20 0 ${port} two.${domain}.\n`)

    await insertCluster('odd', `a_b.${domain}`, '10.0.0.20')
    await insertCluster('bent', `-b.${domain}`, '10.0.0.21')
    const odd = await dba(words.with(-1, url.replace(servers, `${servers},c_d.${domain}`)))
    await fleet.rows("delete from pgarch.arch_db_info where name in ('odd', 'bent')")
    for (const [of, reason] of [
      ['cluster "odd", "a_b', 'no host may have such a name'],
      ['the scheduling database, "c_d', 'no host may have such a name'],
      ['cluster "bent", "-b', 'DNS can have no such name'],
    ]) {
      expect(odd.stdout).toContain(`; ${of}.${domain}": ${reason}`)
    }
    const records = `${odd.stdout}one A 127.0.0.1\ntwo A 127.0.0.1\n`
    const loading = await startNamed(makeFolder(folder.path, 'loading'), domain, records)
    onTestFinished(() => loading.stop())
    const resolver = new Resolver()
    resolver.setServers([loading.server])
    expect(await resolver.resolve4(`db.${domain}`)).toEqual(['10.0.0.8'])
    expect(await resolver.resolveSrv(`_pgarch._tcp.${domain}`)).toHaveLength(2)
    const unknown = await dba(['dns', 'zone'])
    expect(unknown).toMatchObject({ status: 64, stdout: '' })
  })

  it('the servers of the domain are checked too, and are what its zone says', async () => {
    const environment = {
      PGARCH_SCHEDULE_DOMAIN: domain,
      PGARCH_SCHEDULE_URL: 'postgresql://postgres@/pgarch',
    }
    const { port } = fleet.schedule
    await named.update(
      `add _pgarch._tcp 1 SRV 10 0 ${port} one.${domain}.`,
      `add _pgarch._tcp 1 SRV 20 0 ${port} gone.${domain}.`,
    )
    const { status, stdout } = await dba(['dns', 'check'], environment)
    expect(status).toBe(1)
    expect(stdout).toMatch(/schedule pgarch.test +one.pgarch.test +- +127.0.0.1 +agrees/)
    expect(stdout).toMatch(/gone.pgarch.test +- +- +could not resolve "gone.pgarch.test": there is/)
    expect((await dba(['dns', 'zone'], environment)).stdout).toContain(
      `_pgarch._tcp.${domain}. 300 IN SRV 20 0 ${port} gone.${domain}.\n`,
    )
  })
})
