import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Member, readMember, writeMember } from '../../src/postgres/member.ts'
import { temporaryFolder } from '../support/folder.ts'

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  folder = temporaryFolder('member')
})
afterEach(() => folder.remove())

const member: Member = {
  clusterName: 'orders',
  fingerprint: '0b5c1a52-58a7-4c0e-9a0e-6f1d3c5b7a91',
  memberId: '6f1d3c5b-9a0e-4c0e-58a7-0b5c1a520b5c',
  credential: 'c2VjcmV0+/=',
  systemIdentifier: '18446744073709551615',
  walSegmentSize: 2 ** 24,
}
const fields = { version: 1, ...member }

test('is read as it was written, and by its owner alone', async () => {
  await writeMember(folder.path, member)
  expect(await readMember(folder.path, undefined)).toEqual(member)
  expect(statSync(join(folder.path, 'member.json')).mode & 0o777).toBe(0o600)
})

test('needs no cluster name', async () => {
  const { clusterName: _, ...unnamed } = member
  await writeMember(folder.path, unnamed)
  expect(await readMember(folder.path, undefined)).toEqual(unnamed)
})

test('is undefined where nobody registered', async () => {
  expect(await readMember(folder.path, undefined)).toBeUndefined()
  expect(await readMember(join(folder.path, 'missing'), '')).toBeUndefined()
})

describe('PGARCH_MEMBER', () => {
  test('as JSON or as a path, comes before the state directory', async () => {
    await writeMember(folder.path, { ...member, clusterName: 'other' })
    const path = join(folder.path, 'secret')
    writeFileSync(path, JSON.stringify(fields))
    expect(await readMember(folder.path, ` ${JSON.stringify(fields)}\n`)).toEqual(member)
    expect(await readMember(folder.path, path)).toEqual(member)
  })

  test('that names a missing file is an error, not a host without membership', async () => {
    await writeMember(folder.path, member)
    await expect(readMember(folder.path, join(folder.path, 'missing'))).rejects.toMatchObject({
      failure: 'unusable',
      message: expect.stringContaining('missing" does not exist'),
    })
  })

  test.each([
    ['a relative path', 'secret', /neither an absolute path nor JSON/],
    ['JSON cut off', '{"credential":"secret"', /in PGARCH_MEMBER is damaged: the whole/],
  ])('%s: an error that does not show it', async (_, value, message) => {
    const error = await readMember(folder.path, value).catch((error: unknown) => error)
    expect(error).toMatchObject({ message: expect.stringMatching(message) })
    expect(JSON.stringify(error) + (error as Error).stack).not.toMatch(/"?secret"?[^.]/)
  })
})

describe('damaged', () => {
  test.each<[string, string, unknown]>([
    ['fingerprint', 'missing', undefined],
    ['fingerprint', 'no uuid', '0b5c1a52'],
    ['memberId', 'no uuid', '0B5C1A52-58A7-4C0E-9A0E-6F1D3C5B7A91'],
    ['credential', 'empty', ''],
    ['credential', 'two lines', 'a\nb'],
    ['systemIdentifier', 'a number', 7],
    ['systemIdentifier', 'negative', '-7'],
    ['systemIdentifier', 'too large', '18446744073709551616'],
    ['walSegmentSize', 'a text', '16777216'],
    ['walSegmentSize', 'no power of two', 16777217],
    ['clusterName', 'empty', ''],
    ['version', 'missing', undefined],
    ['version', 'a text', '1'],
  ])('%s: %s', async (name, _, value) => {
    const text = JSON.stringify({ ...fields, [name]: value })
    writeFileSync(join(folder.path, 'member.json'), text)
    await expect(readMember(folder.path, undefined)).rejects.toMatchObject({
      failure: 'unusable',
      message: expect.stringMatching(`member.json" is damaged: ${name} is not valid`),
      hint: expect.stringContaining('register'),
    })
  })

  test.each(['', 'null', '[]', '"text"', '7', '{', '\0\0\0\0'])('content %j', async (text) => {
    writeFileSync(join(folder.path, 'member.json'), text)
    await expect(readMember(folder.path, undefined)).rejects.toThrow(/damaged: the whole/)
  })

  test('unreadable', async () => {
    mkdirSync(join(folder.path, 'member.json'))
    await expect(readMember(folder.path, undefined)).rejects.toMatchObject({
      failure: 'unusable',
      message: expect.stringMatching(/^could not read membership file ".*member.json": /),
    })
  })
})

test('of a newer pgarch: says which is which', async () => {
  writeFileSync(join(folder.path, 'member.json'), JSON.stringify({ ...fields, version: 2 }))
  await expect(readMember(folder.path, undefined)).rejects.toThrow(
    /has version 2, this pgarch reads version 1/,
  )
})
