import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import ssh2, { type AgentAuthMethod, type PublicKeyAuthMethod } from 'ssh2'
import { describeError, PgarchError } from '../errors.ts'

export type Login = PublicKeyAuthMethod | AgentAuthMethod

const usualKeys = ['id_ed25519', 'id_ecdsa', 'id_rsa']

/**
 * What to log in with, in order: the given private key alone, else the agent's keys, else the usual
 * ones in ~/.ssh. Never a password. Rejects with `unusable` when there is nothing, or the given key
 * cannot be used.
 */
export async function findLogins(username: string, identity: string | undefined): Promise<Login[]> {
  if (identity !== undefined) {
    return [{ type: 'publickey', username, key: await readPrivateKey(identity) }]
  }
  const agent = process.env.SSH_AUTH_SOCK
  if (agent !== undefined && agent !== '') return [{ type: 'agent', username, agent }]
  const directory = join(homedir(), '.ssh')
  const keys = await Promise.allSettled(
    usualKeys.map((name) => readPrivateKey(join(directory, name))),
  )
  const logins = keys.flatMap((key) =>
    key.status === 'fulfilled' ? [{ type: 'publickey' as const, username, key: key.value }] : [],
  )
  if (logins.length > 0) return logins
  throw new PgarchError('unusable', 'there is no SSH key to log in with', {
    hint: `Set ssh.identity, start an ssh-agent, or make ${join(directory, 'id_ed25519')} with ssh-keygen, without a passphrase.`,
  })
}

async function readPrivateKey(file: string): Promise<Buffer> {
  let key: Buffer
  try {
    key = await readFile(file)
  } catch (thrown) {
    const message = `could not read SSH private key "${file}": ${describeError(thrown)}`
    throw new PgarchError('unusable', message, { cause: thrown })
  }
  const parsed = ssh2.utils.parseKey(key)
  if (!(parsed instanceof Error)) return key
  if (/encrypted|passphrase/i.test(parsed.message)) {
    throw new PgarchError('unusable', `SSH private key "${file}" needs a passphrase`, {
      hint: 'Load it into an ssh-agent and leave ssh.identity unset, or use a key without one.',
    })
  }
  throw new PgarchError('unusable', `"${file}" is not an SSH private key: ${parsed.message}`)
}
