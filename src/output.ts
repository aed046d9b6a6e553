import { PgarchError } from './errors.ts'

/**
 * Notices when standard output takes no more. What is returned waits until all of it was taken, and
 * rejects with `unusable` where it was not, as on a full disk; who reads no further, as head does, has
 * what is wanted.
 */
export function watchOutput(): () => Promise<void> {
  let failure: NodeJS.ErrnoException | undefined
  process.stdout.on('error', (error) => {
    failure ??= error
  })
  return async () => {
    const last = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) =>
      process.stdout.write('', resolve),
    )
    const error = failure ?? last
    if (!error || error.code === 'EPIPE') return
    throw new PgarchError('unusable', `could not write standard output: ${error.message}`)
  }
}
