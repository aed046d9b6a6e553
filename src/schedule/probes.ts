import type { Schedule } from './connect.ts'

/** What somebody found at a path. */
export interface PathFound {
  /** null: it is as it should be. */
  readonly error: string | null
  /** Of its file system, bytes; null: it did not tell. */
  readonly freeBytes: number | null
  readonly sizeBytes: number | null
}

/** Of a path that was found fit; bytes, undefined where it does not tell. */
export function foundBy(probe: {
  readonly freeBytes: number | undefined
  readonly totalBytes: number | undefined
}): PathFound {
  const { freeBytes = null, totalBytes = null } = probe
  return { error: null, freeBytes, sizeBytes: totalBytes }
}

/** Of a path that is not fit. */
export function failedFor(error: string): PathFound {
  return { error, freeBytes: null, sizeBytes: null }
}

/** Keeps it for whoever asks how the path does; not on a standby, which can keep nothing. */
export async function notePathProbe(
  schedule: Schedule,
  pathId: number,
  { error, freeBytes, sizeBytes }: PathFound,
): Promise<void> {
  await schedule.query(
    `select case when not pg_catalog.pg_is_in_recovery()
                 then pgarch.note_probe($1, $2, $3, $4) end`,
    [pathId, error, freeBytes, sizeBytes],
  )
}
