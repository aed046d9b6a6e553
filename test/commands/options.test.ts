import { afterEach, expect, it, vi } from 'vitest'
import {
  byteSize,
  listenAddress,
  numberBetween,
  pastTime,
  portNumber,
} from '../../src/commands/options.ts'

afterEach(() => {
  vi.useRealTimers()
})

it('numbers, ports and sizes read as PostgreSQL writes them', () => {
  expect(numberBetween(-5, 5)('-5')).toBe(-5)
  expect(portNumber('22')).toBe(22)
  expect(byteSize('1000')).toBe(1000)
  expect(byteSize('16MB')).toBe(16 * 1024 * 1024)
  expect(byteSize('1.5 TB')).toBe(1.5 * 1024 ** 4)
})

it.each([
  ['127.0.0.1:9940', '127.0.0.1', 9940],
  ['0.0.0.0:0', '0.0.0.0', 0],
  ['[::1]:9940', '::1', 9940],
  ['metrics.example.com:65535', 'metrics.example.com', 65_535],
])('%s is an address to listen on', (text, host, port) => {
  expect(listenAddress(text)).toEqual({ host, port })
})

it.each([
  '9940',
  ':9940',
  '127.0.0.1',
  '127.0.0.1:',
  '::1:9940',
  '127.0.0.1:65536',
  'a b:1',
  '[x]:1',
])('%s is none', (text) => {
  expect(() => listenAddress(text)).toThrow('It takes ADDRESS:PORT')
})

it.each([
  [portNumber, '0'],
  [portNumber, '65536'],
  [portNumber, '1e3'],
  [byteSize, '12 mb'],
  [byteSize, '-1'],
  [pastTime, 'yesterday'],
  [pastTime, '7'],
  [pastTime, 'Nov 7'],
  [pastTime, '2 weeks'],
  [pastTime, '999999999999d'],
])('%o refuses %j', (parse, text) => {
  expect(() => parse(text)).toThrow(/takes|is not a (time|size)/)
})

it('how long ago, and times with and without a zone', () => {
  vi.useFakeTimers({ now: new Date('2026-11-21T12:00:00Z') })
  expect(pastTime('2h').toISOString()).toBe('2026-11-21T10:00:00.000Z')
  expect(pastTime('365d').toISOString()).toBe('2025-11-21T12:00:00.000Z')
  expect(pastTime('2026-11-21 14:00:00+02').toISOString()).toBe('2026-11-21T12:00:00.000Z')
  expect(pastTime('2026-11-21T14:00:00Z').toISOString()).toBe('2026-11-21T14:00:00.000Z')
  expect(pastTime('2026-11-20')).toEqual(new Date(2026, 10, 20))
  expect(pastTime('2026-11-20 14:00')).toEqual(new Date(2026, 10, 20, 14))
})
