import { expect, test } from 'vitest'
import { checkBackupHistory } from '../../src/wal/backup-history.ts'
import { type BackupName, parseWalName } from '../../src/wal/names.ts'
import { makeBackupHistory } from '../support/wal.ts'

const name = parseWalName('000000010000000000000005.00000028.backup') as BackupName
const text = makeBackupHistory('000000010000000000000005', '0/5000028').toString()

test.each([
  ['as a server writes it', text],
  ['empty, after a crash', ''],
  ['with an LSN as PostgreSQL 19 prints it', text.replace('0/5000028', '0/05000028')],
])('accepted: %s', (_, content) => {
  checkBackupHistory(content, name)
})

test.each([
  ['of another segment', text.replaceAll('05)', '06)'), /began in 000000010000000000000006/],
  ['cut off in its first line', text.slice(0, 40), /invalid data in backup history file/],
  ['zeros', '\0'.repeat(340), /invalid data/],
  ['a blank line first', `\n${text}`, /invalid data/],
])('refused: %s', (_, content, message) => {
  expect(() => checkBackupHistory(content, name)).toThrow(
    expect.objectContaining({ failure: 'refused', message: expect.stringMatching(message) }),
  )
})
