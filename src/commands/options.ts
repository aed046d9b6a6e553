import { InvalidArgumentError } from 'commander'
import { anyDuration, duration, size } from '../settings.ts'

/** For options that take a whole number. */
export function numberBetween(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text)
    if (/^-?\d+$/.test(text) && number >= least && number <= most) return number
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`)
  }
}

/** For options that take a TCP port. */
export const portNumber = numberBetween(1, 65_535)

/** `ADDRESS:PORT`, or `[ADDRESS]:PORT` for IPv6; port 0: any that is free. */
export function listenAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(text)
  const [, address, name, port = ''] = match ?? []
  const host = address ?? name
  if (host !== undefined && Number(port) <= 65_535) return { host, port: Number(port) }
  throw new InvalidArgumentError('It takes ADDRESS:PORT, such as 127.0.0.1:9940 or [::1]:9940.')
}

/** `500GB`, with PostgreSQL's units, or bytes alone, to bytes. */
export function byteSize(text: string): number {
  try {
    return /^\d+$/.test(text) ? size(`${text}B`) : size(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

/** `60s`, with PostgreSQL's units, to milliseconds. */
export function timeSpan(text: string): number {
  try {
    return duration(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

/** Between two looks of whatever goes on until it is interrupted: each costs its servers a connection. */
export function interval(text: string): number {
  const milliseconds = timeSpan(text)
  if (milliseconds >= 1000) return milliseconds
  throw new InvalidArgumentError('It takes 1s or more.')
}

/** `2h` ago, or a time such as `2026-11-21 14:00`, in the reader's time zone unless it names one. */
export function pastTime(text: string): Date {
  if (/^\d+(\.\d+)?\s*[a-z]+$/.test(text)) {
    try {
      return validTime(new Date(Date.now() - anyDuration(text)))
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message)
    }
  }
  // Date makes a time of nearly everything: of 7, the year 2001.
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)/.exec(text)?.map(Number) ?? []
  if (year === undefined || month === undefined || day === undefined) throw noTime()
  // It takes a date alone for UTC, and no offset without minutes, as PostgreSQL prints it.
  const isDate = text.length === 10
  const given = isDate ? `${text} 00:00` : text.replace(/(:\d\d.*[+-]\d\d)$/, '$1:00')
  const time = validTime(new Date(given))
  // And it makes 3 March of 31 February.
  if (new Date(Date.UTC(year, month - 1, day)).getUTCDate() !== day) {
    throw new InvalidArgumentError(`There is no ${text.slice(0, 10)}.`)
  }
  if (time.getTime() <= Date.now()) return time
  throw new InvalidArgumentError('That is still to come: it takes a time that is over.')
}

/** The same, but that a date alone is that day in UTC. */
export function pastDay(text: string): Date {
  return pastTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
}

function validTime(time: Date): Date {
  if (!Number.isNaN(time.getTime())) return time
  throw noTime()
}

function noTime(): InvalidArgumentError {
  return new InvalidArgumentError('It takes a time, or how long ago: 30min, 2h, 7d.')
}
