import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  checkWalPath,
  dataDirectoryOfTarget,
  openDataDirectory,
} from '../../src/postgres/data-directory.ts'
import { findWalSegmentSize } from '../../src/postgres/wal-segment-size.ts'
import { makeDataDirectory, withRightsOf } from '../support/data-directory.ts'
import { temporaryFolder } from '../support/folder.ts'
import { serverVersions, startServer } from '../support/postgres.ts'
import { unprivileged } from '../support/unprivileged.ts'
import { makeSegment } from '../support/wal.ts'

const systemIdentifier = '18446744073709551615'
let folder: ReturnType<typeof temporaryFolder>
let data: string
beforeEach(() => {
  folder = temporaryFolder('data-directory')
  data = makeDataDirectory(folder.path, systemIdentifier)
})
afterEach(() => folder.remove())

describe('openDataDirectory', () => {
  test.each(serverVersions())('on a real one of PostgreSQL $major', async (version) => {
    const server = await startServer({ version, walSegmentSizeMegabytes: 2 })
    const [row] = await server.query(
      'select system_identifier::text as id from pg_control_system()',
    )
    const opened = await openDataDirectory(server.dataDirectory)
    expect(opened).toEqual({
      path: server.dataDirectory,
      systemIdentifier: row?.id,
      uid: unprivileged.uid,
      gid: unprivileged.gid,
      majorVersion: version.major,
    })
    expect(await findWalSegmentSize(opened)).toBe(2 ** 21)
  })

  test('finds the physical path, and an identifier above 2^63', async () => {
    symlinkSync(data, join(folder.path, 'link'))
    expect(await openDataDirectory(join(folder.path, 'link/.'))).toMatchObject({
      path: data,
      systemIdentifier,
    })
  })

  test.each([
    ['missing', (path: string) => join(path, 'missing')],
    ['a file', (path: string) => join(path, 'PG_VERSION')],
    ['another directory', (path: string) => join(path, 'pg_wal')],
  ])('%s: not a data directory', async (_, pathOf) => {
    await expect(openDataDirectory(pathOf(data))).rejects.toMatchObject({
      failure: 'usage',
      message: `"${pathOf(data)}" is not a PostgreSQL data directory`,
      hint: expect.stringContaining('--pgdata'),
    })
  })

  test.each([
    ['global/pg_control', 'empty', ''],
    ['global/pg_control', 'cut off', '1234567'],
    ['global/pg_control', 'zeros', '\0'.repeat(8192)],
    ['PG_VERSION', 'empty', ''],
    ['PG_VERSION', 'no number', 'x'],
  ])('%s is %s: not a data directory', async (file, _, content) => {
    writeFileSync(join(data, file), content)
    await expect(openDataDirectory(data)).rejects.toMatchObject({ failure: 'usage' })
  })

  test('without permission it says as whom to run', async () => {
    chmodSync(data, 0)
    await withRightsOf(unprivileged, async () => {
      await expect(openDataDirectory(data)).rejects.toMatchObject({
        failure: 'unusable',
        message: `could not read data directory "${data}": permission denied`,
        hint: 'Run it as the user that the server runs as, or as root.',
      })
    }).finally(() => chmodSync(data, 0o700))
  })
})

describe('checkWalPath', () => {
  const name = '00000002.history'

  test.each([
    ['relative', () => `pg_wal/${name}`],
    ['absolute', () => join(data, 'pg_wal', name)],
    ['by a detour', () => `../data/./pg_wal/${name}`],
  ])('%s', async (_, walPath) => {
    await checkWalPath(await openDataDirectory(data), walPath())
  })

  test('pg_wal on another disk', async () => {
    mkdirSync(join(folder.path, 'disk'))
    const other = makeDataDirectory(join(folder.path, 'disk'), '1', { walDirectory: 'elsewhere' })
    await checkWalPath(await openDataDirectory(other), `pg_wal/${name}`)
    await checkWalPath(await openDataDirectory(other), join(folder.path, 'disk/elsewhere', name))
  })

  test.each([
    ['beside it', () => name],
    ['of another data directory', () => join(folder.path, 'pg_wal', name)],
    ['in a folder below', () => `pg_wal/archive_status/${name}`],
    ['nowhere', () => `/nowhere/pg_wal/${name}`],
  ])('refused: %s', async (_, walPath) => {
    mkdirSync(join(folder.path, 'pg_wal'))
    mkdirSync(join(data, 'pg_wal/archive_status'))
    const opened = await openDataDirectory(data)
    await expect(checkWalPath(opened, walPath())).rejects.toMatchObject({
      failure: 'refused',
      message: `"${walPath()}" is not in "${data}/pg_wal"`,
    })
  })
})

test.each([
  ['the server', 'pg_wal/RECOVERYXLOG', '/data', '/data'],
  ['pg_rewind', '/target/pg_wal/000000010000000000000001', '/home', '/target'],
  ['pg_rewind from beside it', 'target/pg_wal/00000001', '/home', '/home/target'],
  ['pg_rewind through a parent', '../target/pg_wal/00000001', '/home', '/home/../target'],
  ['pg_rewind through a link', 'link/../target/pg_wal/00000001', '/home', '/home/link/../target'],
  ['a person', 'restored', '/data', '/data'],
  ['a person in pg_wal', './restored', '/data', '/data'],
])('the data directory of %s', (_, walPath, workingDirectory, expected) => {
  expect(dataDirectoryOfTarget(walPath, workingDirectory)).toBe(expected)
})

describe('findWalSegmentSize', () => {
  const ours = { segno: 3, walSegmentSize: 2 ** 20, systemIdentifier }
  const write = (name: string, content: Buffer) =>
    writeFileSync(join(data, 'pg_wal', name), content)
  const find = async () => findWalSegmentSize(await openDataDirectory(data))

  const other = { ...ours, walSegmentSize: 2 ** 21 }
  test.each([
    ['never written', Buffer.alloc(2 ** 21)],
    ['empty', Buffer.alloc(0)],
    ['cut off in its header', makeSegment(other).subarray(0, 34)],
    ['cut off behind its header', makeSegment(other).subarray(0, 2 ** 20)],
    ['of another cluster', makeSegment({ ...other, systemIdentifier: '7' })],
    ['without a long header', makeSegment({ ...other, header: { info: 0 } })],
  ])('passes over a segment that is %s', async (_, content) => {
    write('000000010000000000000001', content)
    write('000000010000000000000002', makeSegment(ours))
    expect(await find()).toBe(2 ** 20)
  })

  test('takes a recycled segment, and looks at nothing but segments', async () => {
    mkdirSync(join(data, 'pg_wal/000'))
    write('000000010000000000000009', makeSegment(ours))
    expect(await find()).toBe(2 ** 20)
  })

  test('says so when there is none', async () => {
    write('000000010000000000000001', Buffer.alloc(2 ** 20))
    await expect(find()).rejects.toMatchObject({
      failure: 'unusable',
      hint: expect.stringContaining('Start the server once'),
    })
  })
})
