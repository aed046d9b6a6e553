import { createHash } from 'node:crypto'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Reading } from '../../src/archive/read-once.ts'
import { checkWalFile } from '../../src/archive/wal-file.ts'
import { hashOnThread } from '../../src/stores/hash-thread.ts'
import { ownHashing } from '../../src/stores/hashing.ts'
import { markReady } from '../support/data-directory.ts'
import { temporaryFolder } from '../support/folder.ts'
import { makeHistory, makeSegment } from '../support/wal.ts'

const folder = temporaryFolder('wal-file')
afterAll(folder.remove)
mkdirSync(join(folder.path, 'pg_wal'))

/** Resolves to its path. */
function writeReady(name: string, bytes: Uint8Array): string {
  const path = join(folder.path, 'pg_wal', name)
  writeFileSync(path, bytes)
  markReady(folder.path, name)
  return path
}

const megabyte = 1024 * 1024

let reading: Reading

/** Writes segment `segno`, and checks it as of its cluster. */
function segment(segno: number, megabytes: number, fill: number) {
  const walSegmentSize = megabytes * megabyte
  const systemIdentifier = '7239458234598234598'
  const bytes = makeSegment({ segno, walSegmentSize, systemIdentifier, fill })
  const name = `0000000100000000${segno.toString(16).toUpperCase().padStart(8, '0')}`
  const path = writeReady(name, bytes)
  const member = { ...cluster, walSegmentSize, systemIdentifier }
  return { bytes, path, check: () => checkWalFile(path, name, member, reading) }
}

const cluster = {
  memberId: '5a1f0f8e-0b7c-4a5e-9df0-6f1d2b8f8f6e',
  credential: 'x',
  fingerprint: '0c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11',
  clusterName: 'shop',
  systemIdentifier: '7239458234598234598',
  walSegmentSize: 16 * megabyte,
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const unpacked = (frame: readonly Uint8Array[] | undefined) =>
  zstdDecompressSync(Buffer.concat(frame ?? []))

describe.each([
  ['where it is asked for', () => ownHashing],
  ['on a thread', hashOnThread],
])('hashed %s', (_where, hashing) => {
  beforeAll(() => {
    reading = { hashing: hashing(), level: 1, unused: [] }
  })

  it('digest and frame are of the content, also of many files that are read at once', async () => {
    const segments = [1, 2, 3, 4, 5, 6].map((segno) => segment(segno, 16, segno % 3))
    for (let round = 0; round < 2; round++) {
      const files = await Promise.all(segments.map(({ check }) => check()))
      for (const [index, { digest, content }] of files.entries()) {
        const bytes = segments[index]?.bytes as Buffer
        expect(digest).toMatchObject({ size: bytes.length, sha256: sha256(bytes) })
        expect(unpacked(content.frame).equals(bytes)).toBe(true)
      }
    }
  })

  it('a segment larger than usual is not kept in memory', async () => {
    const { bytes, check } = segment(1, 32, 1)
    const { digest, content } = await check()
    expect(digest.sha256).toBe(sha256(bytes))
    expect(content.frame).toBeUndefined()
  })

  it('a small file has its frame too', async () => {
    const bytes = makeHistory([[1, '0/3000000']])
    const path = writeReady('00000002.history', bytes)
    const { content, history } = await checkWalFile(path, '00000002.history', cluster, reading)
    expect(unpacked(content.frame)).toEqual(bytes)
    expect(history).toEqual(bytes)
  })

  it('a segment that is cut while it is read is refused', async () => {
    const { path, check } = segment(7, 16, 1)
    const handle = await open(path)
    const prototype = Object.getPrototypeOf(handle)
    await handle.close()
    const { stat } = prototype
    const cut = vi.spyOn(prototype, 'stat').mockImplementation(async function (this: unknown) {
      const answer = await stat.call(this)
      truncateSync(path, 8 * megabyte)
      return answer
    })
    await expect(check()).rejects.toThrow('changed while it was read')
    cut.mockRestore()
  })
})
