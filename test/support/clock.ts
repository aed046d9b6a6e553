import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './parts.ts'

/** The wall clock of whatever runs with this environment; time that has passed is not touched. */
export interface Clock {
  readonly environment: Readonly<Record<string, string>>
  /** For processes that run, too: such as `-1h`; `+0` is right. */
  set(offset: string): void
}

/** For `skipIf`: clocks are shifted by libfaketime. */
export const canShiftClocks = findProgram('faketime') !== undefined

/** Begins right. The file of this name in `folder` carries the offset. */
export function makeClock(folder: string, name: string): Clock {
  const file = join(folder, `clock-${name}`)
  const library = execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD'], {
    encoding: 'utf8',
  }).trim()
  const set = (offset: string) => writeFileSync(file, offset)
  set('+0')
  return {
    environment: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    set,
  }
}
