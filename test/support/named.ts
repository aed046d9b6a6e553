import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder, ownByUnprivileged } from './folder.ts'
import { freeze } from './processes.ts'
import { asUnprivileged } from './unprivileged.ts'

/** A real DNS server, BIND 9, for one zone that is changed by nsupdate with a TSIG key. */
export interface Named {
  readonly zone: string
  /** As dns.servers has it. */
  readonly server: string
  /**
   * nsupdate's lines, in one transaction: `add`, `delete` (RFC 2136), names relative to the zone unless they
   * end with a dot. The records are there when it resolves.
   */
  update(...lines: string[]): Promise<void>
  stop(): Promise<void>
  start(): Promise<void>
  /** It gets questions and answers none until `thaw`. */
  freeze(): void
  thaw(): void
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** In a new folder below `folder`, which the caller removes; `records` are what the zone begins with. */
export async function startNamed(
  folder: string,
  zone = 'pgarch.test',
  records = '',
): Promise<Named> {
  const place = makeFolder(folder, `named-${zone}`)
  const port = await freePort()
  const secret = randomBytes(32).toString('base64')
  const key = join(place, 'key.conf')
  write(key, `key "tests" { algorithm hmac-sha256; secret "${secret}"; };\n`)
  write(join(place, 'zone'), `${zoneFile(zone)}${records}`)
  write(join(place, 'named.conf'), configuration({ place, port, zone }))
  let child: ChildProcess | undefined

  const named: Named = {
    zone,
    server: `127.0.0.1:${port}`,
    async update(...lines) {
      const changes = lines.map((line) => `update ${absolute(line, zone)}`)
      const script = [`server 127.0.0.1 ${port}`, `zone ${zone}`, ...changes, 'send', '']
      const nsupdate = spawn('nsupdate', ['-k', key], { stdio: ['pipe', 'ignore', 'pipe'] })
      nsupdate.stdin.end(script.join('\n'))
      const [said, [status]] = await Promise.all([text(nsupdate.stderr), once(nsupdate, 'close')])
      if (status !== 0) throw new Error(`nsupdate: ${said}\n${script.join('\n')}`)
    },
    async start() {
      // setpriv: it dies with us even when we are killed.
      const command = ['--pdeathsig', 'KILL', '/usr/sbin/named', '-f', '-n', '1', '-4']
      const files = ['-c', join(place, 'named.conf'), '-L', join(place, 'log')]
      child = spawn('setpriv', [...command, ...files], {
        ...asUnprivileged(),
        cwd: place,
        stdio: 'ignore',
      })
      running.add(child)
      child.once('exit', (_code, _signal) => running.delete(child as ChildProcess))
      for (let tries = 0; tries < 200; tries++) {
        if (child.exitCode !== null) break
        if (await answers(port, zone)) return
        await sleep(25)
      }
      throw new Error(`named does not answer: ${readFileSync(join(place, 'log'), 'utf8')}`)
    },
    async stop() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
    freeze() {
      freeze(child?.pid)
    },
    thaw() {
      child?.kill('SIGCONT')
    },
  }
  await named.start()
  return named
}

/** `add host 60 A ..` with the host's whole name. */
function absolute(line: string, zone: string): string {
  return line.replace(/^(\w+) (\S+)/, (_, verb, name) =>
    name.endsWith('.') ? `${verb} ${name}` : `${verb} ${name}.${zone}.`,
  )
}

function write(file: string, content: string): void {
  writeFileSync(file, content, { mode: 0o600 })
  ownByUnprivileged(file)
}

export function zoneFile(zone: string): string {
  return `$ORIGIN ${zone}.
$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 1
@ IN NS ns
ns IN A 127.0.0.1
`
}

/** Negative answers hold for a second, by the zone's SOA. */
function configuration({ place, port, zone }: { place: string; port: number; zone: string }) {
  return `include "${join(place, 'key.conf')}";
controls { };
options {
  directory "${place}";
  pid-file none;
  session-keyfile none;
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  notify no;
  dnssec-validation no;
  minimal-responses yes;
};
zone "${zone}" { type primary; file "zone"; allow-update { key "tests"; }; };
`
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

async function answers(port: number, zone: string): Promise<boolean> {
  const { Resolver } = await import('node:dns/promises')
  const resolver = new Resolver({ timeout: 200, tries: 1 })
  resolver.setServers([`127.0.0.1:${port}`])
  return await resolver.resolveSoa(zone).then(
    () => true,
    () => false,
  )
}
