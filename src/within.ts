import { PgarchError } from './errors.ts'

/**
 * Rejects when it is not settled after so many milliseconds, with what `late` makes, or else with
 * `unreachable`; to wait for it keeps no process alive.
 */
export async function within<Value>(
  promise: Promise<Value>,
  milliseconds: number,
  late: () => Error = () =>
    new PgarchError('unreachable', `no answer within ${milliseconds / 1000} s`),
): Promise<Value> {
  const over = Promise.withResolvers<never>()
  const timer = setTimeout(() => over.reject(late()), milliseconds).unref()
  try {
    return await Promise.race([promise, over.promise])
  } finally {
    clearTimeout(timer)
  }
}
