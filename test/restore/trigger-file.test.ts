import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, it, vi } from 'vitest'
import { openTriggerFile } from '../../src/restore/trigger-file.ts'
import { writeTrigger } from '../../src/restore/trigger-request.ts'
import { temporaryFolder } from '../support/folder.ts'

const folder = temporaryFolder('trigger')
afterAll(folder.remove)

const path = join(folder.path, 'trigger')

beforeEach(() => rmSync(path, { recursive: true, force: true }))

/** What is read of it twice, and what is said about it; perhaps it is used up, too. */
async function read(isUsedUp = false) {
  const said: string[] = []
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said.push(String(text))
    return true
  })
  const file = openTriggerFile(path, () => {})
  try {
    const [first, second] = [await file.read(), await file.read()]
    if (isUsedUp) await file.useUp()
    return { first, second, said: said.join('') }
  } finally {
    file.close()
    stderr.mockRestore()
  }
}

it.each([
  ['', 'smart'],
  ['smart', 'smart'],
  ['smart\n', 'smart'],
  ['fast', 'fast'],
  ['fast\r\nat once', 'fast'],
] as const)('%j asks for %s', async (content, trigger) => {
  writeFileSync(path, content)
  expect(await read()).toEqual({ first: trigger, second: trigger, said: '' })
})

it('one that is not there, and a link that leads nowhere yet, ask for nothing', async () => {
  expect(await read()).toEqual({ first: 'none', second: 'none', said: '' })
  symlinkSync(`${path}.target`, path)
  expect(await read()).toEqual({ first: 'none', second: 'none', said: '' })
  writeFileSync(`${path}.target`, 'fast')
  expect(await read()).toEqual({ first: 'fast', second: 'fast', said: '' })
})

it.each([
  ['a newline alone', () => writeFileSync(path, '\n'), 'says neither "smart" nor "fast"'],
  ['other letters', () => writeFileSync(path, 'Fast'), 'says neither "smart" nor "fast"'],
  ['a directory', () => mkdirSync(path), 'could not read trigger file'],
  ['a FIFO', () => execFileSync('mkfifo', [path]), 'could not read trigger file'],
])('%s is warned of once, and asks for nothing', async (_, make, message) => {
  make()
  const { first, second, said } = await read(true)
  expect([first, second]).toEqual(['none', 'none'])
  expect(said.split(message)).toHaveLength(2)
})

it('a FIFO in the place of one is not taken for it by failover either', async () => {
  execFileSync('mkfifo', [path])
  await expect(writeTrigger(path, 'smart')).rejects.toThrow('could not read trigger file')
})

it('a fast one is emptied when it is used up, and nothing else is', async () => {
  const file = openTriggerFile(path, () => {})
  try {
    await file.useUp()
    writeFileSync(path, 'slow')
    await file.useUp()
    expect(readFileSync(path, 'utf8')).toBe('slow')
    writeFileSync(path, 'fast\n')
    await file.useUp()
    expect(readFileSync(path, 'utf8')).toBe('')
    expect(await file.read()).toBe('smart')
  } finally {
    file.close()
  }
})
