import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import ssh2, { type AgentAuthMethod, type PublicKeyAuthMethod } from 'ssh2'
import { describeError, PgarchError } from '../errors.ts'

export type Login = PublicKeyAuthMethod | AgentAuthMethod

const usualKeys = ['id_ed25519', 'id_ecdsa', 'id_rsa']

/**
 * What to log in with, in order: the given private key alone, else the agent's keys and the usual ones
 * in ~/.ssh. Never a password. Rejects with `unusable` when there is nothing, or the given key cannot
 * be used.
 */
export async function findLogins(
  pathName: string,
  username: string,
  identity: string | undefined,
): Promise<Login[]> {
  if (identity !== undefined) {
    return [{ type: 'publickey', username, key: await readPrivateKey(pathName, identity) }]
  }
  const logins: Login[] = []
  const agent = process.env.SSH_AUTH_SOCK ?? ''
  if (existsSync(agent)) logins.push({ type: 'agent', username, agent })
  const directory = join(homedir(), '.ssh')
  const files = usualKeys.map((name) => join(directory, name))
  for (const file of files) {
    // One that needs a passphrase is as usual as one that is not there.
    const key = await readPrivateKey(pathName, file).catch(() => undefined)
    if (key !== undefined) logins.push({ type: 'publickey', username, key })
  }
  if (logins.length > 0) return logins
  throw new PgarchError('unusable', `path "${pathName}": there is no SSH key to log in with`, {
    isOwn: true,
    hint: `Set ssh.identity, start an ssh-agent, or make ${files[0]} with ssh-keygen, without a passphrase.`,
  })
}

async function readPrivateKey(pathName: string, file: string): Promise<Buffer> {
  const unusable = (what: string, options: { hint?: string; cause?: unknown } = {}) =>
    new PgarchError('unusable', `path "${pathName}": ${what}`, { ...options, isOwn: true })
  const key = await readFile(file).catch((thrown: unknown) => {
    const what = `could not read SSH private key "${file}": ${describeError(thrown)}`
    throw unusable(what, { cause: thrown })
  })
  const parsed = ssh2.utils.parseKey(key)
  if (!(parsed instanceof Error) && [parsed].flat().every((one) => one.isPrivateKey())) return key
  if (parsed instanceof Error && /encrypted|passphrase/i.test(parsed.message)) {
    throw unusable(`SSH private key "${file}" needs a passphrase`, {
      hint: 'Load it into an ssh-agent and leave ssh.identity unset, or use a key without one.',
    })
  }
  throw unusable(`"${file}" is not an SSH private key`)
}
