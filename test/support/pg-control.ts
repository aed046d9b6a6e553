import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Server } from './postgres.ts'
import { asUnprivileged } from './unprivileged.ts'

/**
 * Gives a stopped cluster another system identifier, larger `by` so much, as pg_upgrade does, and WAL
 * that begins anew. Needs pg_resetwal.
 */
export function changeSystemIdentifier(
  { version, dataDirectory }: Pick<Server, 'version' | 'dataDirectory'>,
  by = 1n,
): void {
  const file = join(dataDirectory, 'global/pg_control')
  const control = readFileSync(file)
  const crcOffset = findCrc(control)
  control.writeBigUInt64LE(control.readBigUInt64LE(0) + by, 0)
  control.writeUInt32LE(crc32c(control.subarray(0, crcOffset)), crcOffset)
  writeFileSync(file, control)
  execFileSync(join(version.bin, 'pg_resetwal'), ['-f', '-D', dataDirectory], {
    cwd: dataDirectory,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...asUnprivileged(),
  })
}

/** The last field of ControlFileData (pg_control.h), whose size differs between versions. */
function findCrc(control: Buffer): number {
  for (let offset = 200; offset < 512; offset += 4) {
    if (control.readUInt32LE(offset) === crc32c(control.subarray(0, offset))) return offset
  }
  throw new Error('pg_control has no CRC')
}

/** Castagnoli's polynomial, as PostgreSQL uses it (pg_crc32c.h). */
function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
