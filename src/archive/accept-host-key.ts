import { createInterface } from 'node:readline/promises'
import { PgarchError } from '../errors.ts'
import { hostKeyFingerprint } from '../stores/host-key.ts'
import type { AcceptHostKey } from './paths.ts'

/**
 * A key that was given decides, `ssh-ed25519 AAAA..` or `SHA256:..`; without one a person is asked on
 * the terminal. Where there is no terminal, nobody can be asked, and the key is refused.
 */
export function acceptHostKey(given: string | undefined): AcceptHostKey {
  return async (presented, { host, port }) => {
    const fingerprint = hostKeyFingerprint(presented)
    const shown = `${presented.split(' ')[0]} ${fingerprint}`
    if (given !== undefined) {
      const isSame = given.startsWith('SHA256:')
        ? given.trim() === fingerprint
        : given.trim().split(/\s+/).slice(0, 2).join(' ') === presented
      if (isSame) return
      throw new PgarchError(
        'refused',
        `${host}, port ${port}, presents another host key than was given: ${shown}`,
        { hint: 'Compare it with "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" there.' },
      )
    }
    if (
      !(await confirm(`${host}, port ${port}, presents the host key\n  ${shown}\nPin it? [y/N] `))
    ) {
      throw new PgarchError('refused', `the host key of ${host} was not confirmed: ${shown}`, {
        hint: `Compare it on the server, then repeat with --host-key "${presented}".`,
      })
    }
  }
}

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(question)).trim())
  } finally {
    terminal.close()
  }
}
