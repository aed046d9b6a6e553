import { describe, expect, test } from 'vitest'
import { parsePostmasterPid, readLife } from '../../src/postgres/life.ts'
import { serverVersions, startServer } from '../support/postgres.ts'

const lines = [
  '4711',
  '/var/lib/postgresql/15/main',
  '1700000000',
  '5432',
  '/var/run/postgresql',
  'localhost',
  '  5432001     32768',
  'ready   ',
]
const whole = `${lines.join('\n')}\n`

/** The file with one of its lines changed, counted from 1. */
function withLine(number: number, line: string): string {
  return whole.replace(`${lines[number - 1]}\n`, `${line}\n`)
}

const life = {
  name: '4711-1700000000-5432001-32768',
  postmasterPid: 4711,
  port: 5432,
  socketDirectory: '/var/run/postgresql',
}

describe('a life', () => {
  test.each([
    ['ready', whole],
    ['stopping', withLine(8, 'stopping')],
    ['still starting, without a status', `${lines.slice(0, 7).join('\n')}\n`],
    ['all addresses', withLine(6, '*')],
    ['no address', withLine(6, '')],
  ])('%s', (_, content) => {
    expect(parsePostmasterPid(content)).toEqual(life)
  })

  test('without a socket', () => {
    expect(parsePostmasterPid(withLine(5, ''))).toEqual({ ...life, socketDirectory: undefined })
  })

  test.each([
    ['pid', withLine(1, '4712')],
    ['start time', withLine(3, '1700000001')],
    ['shared memory key', withLine(7, '  5432002     32768')],
    ['shared memory id', withLine(7, '  5432001     32769')],
  ])('another %s is another life', (_, content) => {
    expect(parsePostmasterPid(content)?.name).toMatch(/^\d+-\d+-\d+-\d+$/)
    expect(parsePostmasterPid(content)?.name).not.toBe(life.name)
  })
})

describe('no life', () => {
  test.each([
    ['empty', ''],
    ['the first five lines', `${lines.slice(0, 5).join('\n')}\n`],
    ['the seventh line is not whole yet', lines.slice(0, 7).join('\n')],
    ['no shared memory yet', withLine(7, '')],
    ['a key alone', withLine(7, '  5432001')],
    ['a single-user server', withLine(1, '-4711')],
    ['no pid', withLine(1, '')],
    ['no start time', withLine(3, '')],
    ['a path in a number', withLine(3, '../1')],
    ['a path in the key', withLine(7, '../1 2')],
  ])('%s', (_, content) => {
    expect(parsePostmasterPid(content)).toBeUndefined()
  })
})

test.each(serverVersions())(
  'PostgreSQL $major has one life from start to stop',
  async (version) => {
    const server = await startServer({ version })
    const { dataDirectory, port, pid, socketDirectory } = server
    const before = await readLife(dataDirectory)
    expect(before).toMatchObject({ port, postmasterPid: pid, socketDirectory })
    expect(await readLife(dataDirectory)).toEqual(before)
    await server.stop()
    expect(await readLife(dataDirectory)).toBeUndefined()
    await server.start()
    const after = await readLife(dataDirectory)
    expect(after?.postmasterPid).toBe(server.pid)
    expect(after?.name).not.toBe(before?.name)
  },
)

test('what cannot be read is not taken for no life', async () => {
  await expect(readLife('/dev/null')).rejects.toMatchObject({
    failure: 'unusable',
    message: expect.stringContaining('could not read file "/dev/null/postmaster.pid"'),
  })
})
