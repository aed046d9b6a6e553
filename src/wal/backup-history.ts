import { PgarchError } from '../errors.ts'
import type { BackupName } from './names.ts'

/**
 * Makes sure that a backup history file tells of the backup that its name says (do_pg_backup_stop in
 * xlog.c). An empty one is legal: the server writes it without fsync, so that a crash can leave it so,
 * and nothing but people ever reads it.
 *
 * @throws PgarchError `refused`
 */
export function checkBackupHistory(text: string, name: BackupName): void {
  if (text.length === 0) return
  const match = /^START WAL LOCATION: [0-9A-F]+\/[0-9A-F]+ \(file ([0-9A-F]{24})\)\n/.exec(text)
  if (match === null) {
    throw new PgarchError('refused', `invalid data in backup history file ${name.name}`, {
      hint: 'Expected a first line START WAL LOCATION.',
    })
  }
  if (match[1] !== name.name.slice(0, 24)) {
    throw new PgarchError(
      'refused',
      `backup history file ${name.name} tells of a backup that began in ${match[1]}`,
      { hint: 'The file was renamed, or its contents were replaced.' },
    )
  }
}
