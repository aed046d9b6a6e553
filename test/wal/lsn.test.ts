import { expect, test } from 'vitest'
import { formatLsn, parseLsn } from '../../src/wal/lsn.ts'

test.each([
  ['0/0', 0n],
  ['0/3000028', 0x300_0028n],
  ['16/B374D848', 0x16_b374_d848n],
  ['1/0', 1n << 32n],
  ['FFFFFFFF/FFFFFFFF', 2n ** 64n - 1n],
])('%s', (text, lsn) => {
  expect(parseLsn(text)).toBe(lsn)
  expect(formatLsn(lsn)).toBe(text)
})

test('lower case and leading zeros, as PostgreSQL reads them', () => {
  expect(parseLsn('0000000a/0B')).toBe((10n << 32n) | 11n)
})

test.each([
  '',
  '/',
  '0',
  '0/',
  '/0',
  '0/0/0',
  '0x1/0',
  'G/0',
  ' 0/0',
  '0/0\n',
  '100000000/0',
  '-1/0',
])('not an LSN: %j', (text) => {
  expect(parseLsn(text)).toBeUndefined()
})
