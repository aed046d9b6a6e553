import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  removeIfThere,
  removeUnfinished,
  syncDirectory,
  writeDurably,
} from '../../src/fs/durable.ts'
import { fileError, hasCode } from '../../src/fs/errors.ts'
import { temporaryFolder } from '../support/folder.ts'

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  folder = temporaryFolder('durable')
})
afterEach(() => folder.remove())

describe('writeDurably', () => {
  test('makes a file, with its mode, and leaves nothing else', async () => {
    const path = join(folder.path, 'file')
    await writeDurably(path, 'content', { mode: 0o600 })
    expect(readFileSync(path, 'utf8')).toBe('content')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder.path)).toEqual(['file'])
  })

  test('replaces a longer file whole, and whoever has the old one open keeps it', async () => {
    const path = join(folder.path, 'file')
    writeFileSync(path, 'a much longer content')
    const { ino } = statSync(path)
    await writeDurably(path, Buffer.from('short'), { mode: 0o600 })
    expect(readFileSync(path, 'utf8')).toBe('short')
    expect(statSync(path).ino).not.toBe(ino)
  })

  test('fsyncs the whole content before the rename, and the directory after it', async () => {
    const path = join(folder.path, 'file')
    const seen: string[][] = []
    const handle = await open(folder.path)
    const sync = vi.spyOn(Object.getPrototypeOf(handle), 'sync').mockImplementation(async () => {
      const files = readdirSync(folder.path)
      seen.push(files.map((file) => readFileSync(join(folder.path, file), 'utf8')))
      if (seen.length === 1) expect(files).not.toContain('file')
      else expect(files).toEqual(['file'])
    })
    try {
      await writeDurably(path, 'content', { mode: 0o600 })
      expect(seen).toEqual([['content'], ['content']])
    } finally {
      sync.mockRestore()
      await handle.close()
    }
  })

  test('many at once: the file is one of them whole, and no temporary file stays', async () => {
    const path = join(folder.path, 'file')
    const contents = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(10_000))
    await Promise.all(contents.map((content) => writeDurably(path, content, { mode: 0o600 })))
    expect(contents).toContain(readFileSync(path, 'utf8'))
    expect(readdirSync(folder.path)).toEqual(['file'])
  })

  test('says why it could not, and leaves no temporary file', async () => {
    const path = join(folder.path, 'directory')
    await mkdir(join(path, 'full'), { recursive: true })
    await expect(writeDurably(path, '', { mode: 0o600 })).rejects.toMatchObject({
      name: 'PgarchError',
      failure: 'unusable',
      message: expect.stringMatching(/^could not write file ".*directory": \w/),
    })
    expect(readdirSync(folder.path)).toEqual(['directory'])
    await expect(
      writeDurably(join(folder.path, 'missing/file'), '', { mode: 0o600 }),
    ).rejects.toThrow(/missing\/file": no such file or directory/)
  })
})

test('syncDirectory says which directory is not there', async () => {
  await syncDirectory(folder.path)
  await expect(syncDirectory(join(folder.path, 'missing'))).rejects.toThrow(
    /could not fsync directory ".*missing": no such file or directory/,
  )
})

test('removeIfThere removes, once or twice, and does not swallow a refusal', async () => {
  const path = join(folder.path, 'file')
  writeFileSync(path, '')
  await removeIfThere(path)
  await removeIfThere(path)
  expect(existsSync(path)).toBe(false)
  await expect(removeIfThere(join(folder.path, 'x'.repeat(300)))).rejects.toMatchObject({
    failure: 'unusable',
  })
})

test('removeUnfinished removes what is old and was never whole, and minds no trouble', async () => {
  for (const name of ['young.tmp', 'old.tmp', 'old']) writeFileSync(join(folder.path, name), '')
  await mkdir(join(folder.path, 'directory.tmp'))
  for (const name of ['old.tmp', 'old', 'directory.tmp']) utimesSync(join(folder.path, name), 0, 0)
  await removeUnfinished(folder.path)
  expect(readdirSync(folder.path).sort()).toEqual(['directory.tmp', 'old', 'young.tmp'])
  await removeUnfinished(join(folder.path, 'missing'))
})

test('what the operating system did not say stays as it is', () => {
  const bug = new TypeError('undefined is not a function')
  expect(fileError('read file', '/x', bug)).toBe(bug)
  expect(hasCode(bug, 'ENOENT')).toBe(false)
  expect(hasCode('ENOENT', 'ENOENT')).toBe(false)
})

test('a disk quota has its name, which libuv does not know', () => {
  const thrown = Object.assign(new Error('Unknown system error -122'), { errno: -122 })
  expect(fileError('write file', '/x', thrown)).toMatchObject({
    message: 'could not write file "/x": disk quota exceeded',
  })
})
