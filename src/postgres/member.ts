import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { writeDurably } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { isWalSegmentSize } from '../wal/names.ts'

/** What `pgarch register` leaves on a host: which cluster it may archive for, and the proof. */
export interface Member {
  /** As it was named then, for messages; the scheduling database has the current name. */
  readonly clusterName?: string
  /** uuid */
  readonly fingerprint: string
  /** uuid */
  readonly memberId: string
  /** Secret. */
  readonly credential: string
  /** Unsigned 64-bit decimal. */
  readonly systemIdentifier: string
  /** Bytes. */
  readonly walSegmentSize: number
}

/** Of the file's format. */
const version = 1

export async function writeMember(stateDirectory: string, member: Member): Promise<void> {
  const text = `${JSON.stringify({ version, ...member }, undefined, 2)}\n`
  await writeDurably(join(stateDirectory, 'member.json'), text, { mode: 0o600 })
}

/**
 * This host's membership; undefined when it has none. `unusable` when there is one that cannot be
 * read or understood.
 *
 * @param fromEnvironment PGARCH_MEMBER, which comes first: for hosts whose state directory does not
 *   last, the absolute path of such a file, or its content
 */
export async function readMember(
  stateDirectory: string,
  fromEnvironment: string | undefined,
): Promise<Member | undefined> {
  if (fromEnvironment === undefined || fromEnvironment === '') {
    const path = join(stateDirectory, 'member.json')
    const text = await readText(path)
    return text === undefined ? undefined : parseMember(text, `"${path}"`)
  }
  if (fromEnvironment.trimStart().startsWith('{')) {
    return parseMember(fromEnvironment, 'in PGARCH_MEMBER')
  }
  // The value is not shown: it could be a mistyped secret.
  if (!fromEnvironment.startsWith('/')) {
    throw new PgarchError('usage', 'PGARCH_MEMBER is neither an absolute path nor JSON')
  }
  const text = await readText(fromEnvironment)
  if (text !== undefined) return parseMember(text, `"${fromEnvironment}"`)
  throw new PgarchError('unusable', `membership file "${fromEnvironment}" does not exist`, {
    hint: 'PGARCH_MEMBER names it.',
  })
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw fileError('read membership file', path, thrown)
  }
}

function parseMember(text: string, where: string): Member {
  const fields = parseObject(text)
  if (fields !== undefined && Number.isInteger(fields.version) && fields.version !== version) {
    throw new PgarchError(
      'unusable',
      `membership ${where} has version ${fields.version}, this pgarch reads version ${version}`,
      { hint: 'Install the newer pgarch on this host, or run "pgarch register" again.' },
    )
  }
  const wrong = fields === undefined ? 'the whole' : firstWrong(fields)
  if (fields === undefined || wrong !== undefined) {
    throw new PgarchError('unusable', `membership ${where} is damaged: ${wrong} is not valid`, {
      hint: 'Run "pgarch register" again on this host.',
    })
  }
  const { clusterName, fingerprint, memberId, credential, systemIdentifier, walSegmentSize } =
    fields as unknown as Member
  const named = clusterName === undefined ? {} : { clusterName }
  return { ...named, fingerprint, memberId, credential, systemIdentifier, walSegmentSize }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    // Its message would show the text, and with it the credential.
    return undefined
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const rules: Readonly<Record<keyof Member | 'version', (value: unknown) => boolean>> = {
  version: (value) => value === version,
  clusterName: (value) => value === undefined || (typeof value === 'string' && value !== ''),
  fingerprint: matches(uuid),
  memberId: matches(uuid),
  credential: matches(/^[\x21-\x7e]+$/),
  systemIdentifier: (value) => matches(/^[1-9]\d{0,19}$/)(value) && BigInt(`${value}`) < 2n ** 64n,
  walSegmentSize: (value) => typeof value === 'number' && isWalSegmentSize(value),
}

function firstWrong(fields: Record<string, unknown>): string | undefined {
  return Object.entries(rules).find(([name, isValid]) => !isValid(fields[name]))?.[0]
}

function matches(pattern: RegExp): (value: unknown) => boolean {
  return (value) => typeof value === 'string' && pattern.test(value)
}
