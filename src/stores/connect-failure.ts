import { describeError, PgarchError } from '../errors.ts'
import { hostKeyFingerprint } from './host-key.ts'
import type { PathDescription } from './store.ts'

/** The server presents another host key than the pinned one: it is not the path's, or was given a new one. */
export function otherHostKey(
  path: PathDescription,
  pinned: string,
  presented: string,
): PgarchError {
  const show = (key: string) => `${key.split(' ')[0]} ${hostKeyFingerprint(key)}`
  return new PgarchError('unusable', `path "${path.name}": the host key has changed`, {
    hint: `Expected ${show(pinned)}, but ${path.sshHost} presents ${show(presented)}. Unless the key was changed on purpose, someone may be listening. Pin a new key with "pgarch path set".`,
  })
}

/** The host key was the right one, or there would have been no login: no other address is better. */
export function isWrongLogin(thrown: unknown): boolean {
  return /authentication methods failed/.test(describeError(thrown))
}

/**
 * Of all that went wrong in one connect, at one address or at several, what a person has to know first.
 */
export function connectFailure(path: PathDescription, reasons: readonly unknown[]): PgarchError {
  const where = `path "${path.name}": could not connect to ${path.sshHost}, port ${path.sshPort}`
  const say = (thrown: unknown) => describeError(thrown).replace(/^getConnection: /, '')
  const said = [...new Set(reasons.map(say))].join('; ')
  const options = { cause: reasons.at(-1) }
  if (reasons.some(isWrongLogin)) {
    return new PgarchError('unusable', `${where}: no SSH key was accepted`, {
      ...options,
      isOwn: true,
      hint: `The public key must be in the authorized keys of user "${path.sshUser}" there.`,
    })
  }
  const refusal = reasons.find((one) => one instanceof PgarchError && one.failure === 'unusable')
  if (refusal !== undefined) return refusal as PgarchError
  if (/no matching host key/i.test(said)) {
    return new PgarchError('unusable', `${where}: it has no host key of the pinned type`, {
      ...options,
      hint: `Expected ${path.hostKey?.split(' ')[0]}. Pin a new key with "pgarch path set".`,
    })
  }
  const isOwn = reasons.every((one) => one instanceof PgarchError && one.isOwn)
  return new PgarchError('unreachable', `${where}: ${said}`, { ...options, isOwn })
}
