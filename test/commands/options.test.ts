import { afterEach, expect, it, vi } from 'vitest'
import {
  byteSize,
  interval,
  listenAddress,
  numberBetween,
  pastDay,
  pastTime,
  portNumber,
} from '../../src/commands/options.ts'

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
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
  [pastTime, '2026-11-21 25:00'],
  [interval, 'x'],
  [interval, '0s'],
  [interval, '999ms'],
])('%o refuses %j', (parse, text) => {
  expect(() => parse(text)).toThrow(/takes|is not a (time|size)/)
})

it('a screen is drawn once a second at most', () => {
  expect(interval('1s')).toBe(1000)
  expect(interval('1min')).toBe(60_000)
})

it.each([
  ['2026-02-31', 'There is no 2026-02-31.'],
  ['2026-02-29 14:00', 'There is no 2026-02-29.'],
  ['2026-04-31T14:00:00Z', 'There is no 2026-04-31.'],
  ['2026-13-01', 'It takes a time'],
  ['2026-00-10', 'It takes a time'],
  ['2026-11-00', 'It takes a time'],
  ['2026-11-21T12:00:01Z', 'That is still to come'],
  ['2026-11-22 14:00', 'That is still to come'],
  ['2999-01-01', 'That is still to come'],
])('%s is no time in the past', (text, message) => {
  vi.useFakeTimers({ now: new Date('2026-11-21T12:00:00Z') })
  expect(() => pastTime(text)).toThrow(message)
})

it.each(['UTC', 'Asia/Kathmandu', 'America/New_York'])('days are UTC, also in %s', (zone) => {
  vi.useFakeTimers({ now: new Date('2026-11-21T01:00:00Z') })
  vi.stubEnv('TZ', zone)
  expect(pastDay('2026-11-21')).toEqual(new Date('2026-11-21T00:00:00Z'))
  expect(pastDay('2026-11-20 14:00')).toEqual(new Date(2026, 10, 20, 14))
  expect(() => pastDay('2026-11-22')).toThrow('That is still to come')
  expect(() => pastDay('2026-02-31')).toThrow('There is no 2026-02-31.')
})

it('how long ago, and times with and without a zone', () => {
  vi.useFakeTimers({ now: new Date('2026-11-21T12:00:00Z') })
  expect(pastTime('2h').toISOString()).toBe('2026-11-21T10:00:00.000Z')
  expect(pastTime('365d').toISOString()).toBe('2025-11-21T12:00:00.000Z')
  expect(pastTime('2026-11-21 14:00:00+02').toISOString()).toBe('2026-11-21T12:00:00.000Z')
  expect(pastTime('2026-11-21T10:00:00Z').toISOString()).toBe('2026-11-21T10:00:00.000Z')
  expect(pastTime('2024-02-29T00:00:00Z').toISOString()).toBe('2024-02-29T00:00:00.000Z')
  expect(pastTime('2026-11-21T12:00:00Z')).toEqual(new Date())
  expect(pastTime('2026-11-20')).toEqual(new Date(2026, 10, 20))
  expect(pastTime('2026-11-20 14:00')).toEqual(new Date(2026, 10, 20, 14))
})
