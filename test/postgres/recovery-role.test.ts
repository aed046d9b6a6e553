import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { recoveryRole } from '../../src/postgres/recovery-role.ts'
import { temporaryFolder } from '../support/folder.ts'

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  folder = temporaryFolder('recovery-role')
})
afterEach(() => folder.remove())

const segment = 'pg_wal/000000010000000000000001'

test.each([
  ['pg_wal/RECOVERYXLOG', ['recovery.signal'], 'archive-recovery'],
  ['pg_wal/RECOVERYHISTORY', ['recovery.signal'], 'archive-recovery'],
  ['pg_wal/RECOVERYXLOG', ['standby.signal'], 'standby'],
  ['pg_wal/RECOVERYHISTORY', ['standby.signal'], 'standby'],
  ['pg_wal/RECOVERYXLOG', ['recovery.signal', 'standby.signal'], 'standby'],
  ['pg_wal/RECOVERYXLOG', [], 'archive-recovery'],
  ['/data/pg_wal/RECOVERYXLOG', ['standby.signal'], 'standby'],
  [segment, ['standby.signal'], 'pg_rewind'],
  [`/target/${segment}`, [], 'pg_rewind'],
  ['restored', ['recovery.signal'], 'pg_rewind'],
  ['RECOVERYXLOG/restored', ['recovery.signal'], 'pg_rewind'],
])('%s with %j is asked for by %s', async (walPath, signals, expected) => {
  for (const signal of signals) writeFileSync(join(folder.path, signal), '')
  expect(await recoveryRole({ dataDirectory: folder.path, walPath })).toBe(expected)
})

test('what cannot be looked at is not taken for archive recovery', async () => {
  await expect(
    recoveryRole({ dataDirectory: '/dev/null', walPath: 'pg_wal/RECOVERYXLOG' }),
  ).rejects.toMatchObject({ failure: 'unusable' })
})
