import { execFileSync } from 'node:child_process'
import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { dropToOwner } from '../../src/postgres/privileges.ts'
import { unprivileged } from '../support/unprivileged.ts'

const source = fileURLToPath(new URL('../../src/postgres/privileges.ts', import.meta.url))

/** Drops in a process of its own, for there is no way back. */
function idsAfterDrop(owner: { uid: number; gid: number }) {
  const script = `
    const { dropToOwner } = await import(${JSON.stringify(source)})
    process.setgroups([0, 4])
    dropToOwner(${JSON.stringify(owner)})
    const back = () => { try { process.setuid(0); return true } catch { return false } }
    console.log(JSON.stringify({
      uid: process.getuid(), euid: process.geteuid(), gid: process.getgid(), egid: process.getegid(),
      groups: process.getgroups().sort(), back: back(),
    }))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  return JSON.parse(output)
}

describe.runIf(process.getuid?.() === 0)('as root', () => {
  test("becomes the owner for good, with the groups of the owner's login", () => {
    const { uid, gid, name } = unprivileged
    const groups = execFileSync('id', ['-G', name], { encoding: 'utf8' }).trim().split(' ')
    expect(idsAfterDrop({ uid, gid })).toEqual({
      uid,
      euid: uid,
      gid,
      egid: gid,
      groups: groups.map(Number).sort(),
      back: false,
    })
  })

  test('becomes an owner without a name, in no group of root', () => {
    const owner = { uid: 61234, gid: 61235 }
    expect(idsAfterDrop(owner)).toMatchObject({ uid: 61234, gid: 61235, groups: [61235] })
  })

  test('refuses to go on as root', () => {
    expect(() => dropToOwner({ uid: 0, gid: 0 })).toThrow(
      expect.objectContaining({ failure: 'refused', message: expect.stringContaining('root') }),
    )
  })
})

test.runIf(process.getuid?.() !== 0)('as anybody else nothing changes', () => {
  dropToOwner({ uid: 0, gid: 0 })
  expect(process.getuid?.()).toBe(userInfo().uid)
})
