import { PgarchError } from './errors.ts'

/**
 * Rejects with `unreachable` when it is not settled after so many milliseconds; to wait for it keeps no
 * process alive.
 */
export async function within<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    late.reject(new PgarchError('unreachable', `no answer within ${milliseconds / 1000} s`))
  }, milliseconds).unref()
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
