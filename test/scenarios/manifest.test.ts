import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet } from '../support/fleet.ts'
import type { Server } from '../support/postgres.ts'

let fleet: Fleet
let primary: Server
let fingerprint: string

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin')
  await fleet.addPath('hamburg')
  primary = await fleet.startPrimary('app', ['berlin', 'hamburg'])
  const [cluster] = await fleet.rows<{ id: string }>('select id from pgarch.arch_db_info')
  fingerprint = cluster?.id ?? ''
})

const manifestOn = (path: string) => join(fleet.folder, path, fingerprint, 'manifest.json')

it('the first file that comes to a path brings the manifest along, once', async () => {
  await archiveSegment(primary)
  const [{ id } = { id: '' }] = await primary.query<{ id: string }>(
    'select system_identifier::text as id from pg_control_system()',
  )
  expect(JSON.parse(readFileSync(manifestOn('berlin'), 'utf8'))).toEqual({
    version: 1,
    fingerprint,
    name: 'app',
    systemIdentifier: id,
    walSegmentSize: 1_048_576,
  })
  expect(existsSync(manifestOn('hamburg'))).toBe(false)

  rmSync(manifestOn('berlin'))
  await archiveSegment(primary)
  expect(existsSync(manifestOn('berlin'))).toBe(false)
})

it('a manifest that cannot be written fails no push, and follows', async () => {
  await fleet.admin('cluster', 'rename', 'app', 'renamed')
  await fleet.admin('path', 'disable', 'berlin')
  await archiveSegment(primary)
  rmSync(manifestOn('hamburg'))
  rmSync(
    join(fleet.environment.PGARCH_STATE_DIR ?? '', primary.dataDirectory, '@pgarch/manifests'),
    {
      recursive: true,
    },
  )

  chmodSync(dirname(manifestOn('hamburg')), 0o500)
  await archiveSegment(primary)
  expect(existsSync(manifestOn('hamburg'))).toBe(false)
  expect(primary.log()).toContain('could not leave a manifest on path "hamburg"')

  chmodSync(dirname(manifestOn('hamburg')), 0o750)
  await archiveSegment(primary)
  expect(JSON.parse(readFileSync(manifestOn('hamburg'), 'utf8'))).toMatchObject({ name: 'renamed' })
})
