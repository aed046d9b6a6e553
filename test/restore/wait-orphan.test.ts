import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { makeDataDirectory } from '../support/data-directory.ts'
import { makeFolder, ownByUnprivileged, temporaryFolder } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

const folder = temporaryFolder('orphan')
afterAll(folder.remove)

it('the launcher is killed, and the server gone, before Node.js could look: it ends all the same', async () => {
  const dataDirectory = makeDataDirectory(folder.path, '7239458234598234598')
  const note = join(makeFolder(folder.path, 'notes'), 'node')
  const node = join(folder.path, 'slow-node')
  writeFileSync(
    node,
    `#!/bin/sh\necho $$ >'${note}'; read -r _ <'${note}.go'; exec '${process.execPath}' "$@"\n`,
  )
  chmodSync(node, 0o755)
  await once(spawn('mkfifo', [`${note}.go`]), 'exit')
  ownByUnprivileged(`${note}.go`)
  const words = ['fetch', '000000010000000000000007', 'pg_wal/RECOVERYXLOG', '--wait', '-s', '1']
  const launcher = spawn(installation().pgarch, words, {
    cwd: dataDirectory,
    env: {
      PATH: '/usr/bin:/bin',
      PGARCH_NODE: node,
      PGARCH_STATE_DIR: makeFolder(folder.path, 'state'),
      PGARCH_SCHEDULE_URL: 'postgresql://127.0.0.1:1/pgarch',
    },
    stdio: 'ignore',
    ...asUnprivileged(),
  })
  const ended = once(launcher, 'exit')
  const pid = () => (existsSync(note) ? Number(readFileSync(note, 'utf8')) : 0)
  await expect.poll(pid, { timeout: 20_000 }).toBeGreaterThan(0)
  const isThere = () => existsSync(`/proc/${pid()}`)
  onTestFinished(() => {
    if (isThere()) process.kill(pid(), 'SIGKILL')
  })
  launcher.kill('SIGKILL')
  await ended
  writeFileSync(`${note}.go`, '\n')
  await expect.poll(isThere, { timeout: 30_000 }).toBe(false)
})
