import { PgarchError } from '../errors.ts'
import { checkPathFile } from './path-file.ts'
import { ancestors, makeNameDurable, type Named } from './publish.ts'
import { checkReserve } from './reserve.ts'
import type { Watch } from './watch.ts'

/** See `Store.append`. */
export async function append(
  target: Named,
  at: number,
  bytes: Uint8Array,
  watch: Watch,
): Promise<void> {
  const { files, path, name } = target
  const checking = check(target, bytes, watch)
  checking.catch(() => {}) // it is awaited in every case
  // A file that grows has a name of its own, and is nowhere else.
  if (at === 0) await checking
  const extend = () =>
    files.extend(name, at, bytes, watch).catch(async (thrown: unknown) => {
      await checking
      // Each try has a name of its own: on a full disk they would take what a push needs.
      const isRefused = thrown instanceof PgarchError && thrown.failure === 'unusable'
      if (at === 0 && isRefused) await files.unlink(name).catch(() => {})
      throw thrown
    })
  let outcome = await extend()
  if (outcome === 'absent' && at === 0) {
    for (const missing of ancestors(name).toReversed().slice(1)) {
      await watch.step(files.makeDirectory(missing))
    }
    outcome = await extend()
  }
  await checking
  if (outcome !== 'extended') {
    const what = outcome === 'absent' ? 'is gone' : `is shorter than ${at} bytes`
    throw new PgarchError('damaged', `path "${path.name}": "${name}" ${what}`)
  }
  if (at === 0) await makeNameDurable(target, watch)
}

async function check({ files, path, name }: Named, bytes: Uint8Array, watch: Watch): Promise<void> {
  const space = path.reserveBytes > 0 ? watch.step(files.space()) : undefined
  const [, free] = await Promise.all([watch.step(checkPathFile(files, path)), space])
  const file = { walName: name.slice(name.lastIndexOf('/') + 1), size: bytes.length }
  if (free !== undefined) checkReserve(path, file, free)
}
