import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import type { Server } from '../support/postgres.ts'
import { buildClientOf, commitBefore } from '../support/previous-client.ts'
import { countOf, startRestored, takeBackup, untilPrimary } from '../support/restored.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin')
})

const recorded = async () =>
  (
    await fleet.rows<{ name: string }>('select distinct wal_name as name from pgarch.arch_copy')
  ).map(({ name }) => name)

describe('a client that does not fit the schema archives on, and says so', () => {
  let primary: Server
  let stateDirectory: string

  beforeAll(async () => {
    primary = await fleet.startPrimary('app', ['berlin'])
    stateDirectory = join(
      fleet.environment.PGARCH_STATE_DIR ?? '',
      primary.dataDirectory,
      '@pgarch',
    )
    await archiveSegment(primary)
  })

  it.each([
    {
      schema: 'too new',
      change:
        "insert into pgarch.schema_version (version, name, oldest_client) values (99, 'x', 99)",
      repair: 'delete from pgarch.schema_version where version = 99',
      message: /schema version 99 is too new for this pgarch, which knows \d+; going on/,
      hint: 'Install a newer pgarch on this host',
    },
    {
      schema: 'too old',
      change: 'update pgarch.schema_version set version = -version where version > 1',
      repair: 'update pgarch.schema_version set version = -version where version < 0',
      message: /schema version 1 is older than this pgarch needs, which is \d+; going on/,
      hint: 'Run "pgarch init" of this version once',
    },
  ])('$schema', async ({ change, repair, message, hint }) => {
    await fleet.rows(change)
    const during = [await archiveSegment(primary), await archiveSegment(primary)]
    expect(primary.log()).toMatch(message)
    expect(primary.log()).toContain(hint)
    expect(await recorded()).not.toEqual(expect.arrayContaining(during))
    const refused = await fleet.pgarch(['status'], { admin: true })
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining(hint) })

    await fleet.rows(repair)
    rmSync(join(stateDirectory, 'rests.json'))
    await archiveSegment(primary)
    expect(await recorded()).toEqual(expect.arrayContaining(during))
  })
})

const migration = 'sql/0004-reliability.sql'
const previous = commitBefore(migration)

it.skipIf(previous === undefined)(
  'the client from before migration 4 archives and restores',
  async () => {
    const program = await buildClientOf(previous ?? '', makeFolder(fleet.folder, 'previous'))
    const node = `"${process.execPath}" "${program}"`
    const answer = 'case $? in 40) exit 0 ;; 44) exit 1 ;; esac; exit'
    const primary = await fleet.startPrimary('old', ['berlin'], {
      settings: { archive_command: `${node} push %p %f; ${answer} 1` },
    })
    await primary.query('create table numbers (n int)')
    await archiveSegment(primary)
    const backup = await takeBackup(fleet, primary, 'old-backup')
    await primary.query('insert into numbers select generate_series(1, 100)')
    const name = await archiveSegment(primary)
    expect(await recorded()).toContain(name)
    expect(primary.log()).not.toMatch(/pgarch: (WARNING|ERROR)/)

    const restored = await startRestored(fleet, backup, 'recovery', {
      settings: { restore_command: `${node} fetch %f %p; ${answer} 200` },
    })
    await untilPrimary(restored)
    expect(await countOf(restored, 'numbers')).toBe(100)
  },
)
