import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type Config, keepingNames } from '../config.ts'
import { type Connections, keepConnections } from '../connections.ts'
import { removeUnfinished } from '../fs/durable.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import type { Member } from '../postgres/member.ts'
import { dropToOwner } from '../postgres/privileges.ts'
import { openRegistered } from '../postgres/registered.ts'
import { createStateDirectory } from '../postgres/state-directory.ts'
import { openRests, type Rests } from '../schedule/rests.ts'
import { segmentName, segmentStart } from '../wal/names.ts'
import { type Outages, openOutages } from './outages.ts'

/** Who ships, and with what. */
export interface Shipper {
  /** uuid of this process. */
  readonly id: string
  readonly dataDirectory: DataDirectory
  readonly member: Member
  readonly stateDirectory: string
  readonly connections: Connections
  /** Of this process alone: it lives long enough to remember. */
  readonly rests: Rests
  readonly outages: Outages
  readonly config: Config
}

/** A connection to a path is kept over pauses: a new one would lengthen what can be lost. */
const pathIdle = 300_000
/** One to append by, one to look and to remove by. */
const connectionsPerPath = 2

/** As root it goes on as the data directory's owner. `refused` on a host that is no member. */
export async function openShipper(path: string, given: Config): Promise<Shipper> {
  const { dataDirectory, member } = await openRegistered(path, given.stateDirectory, given.member)
  const stateDirectory = await createStateDirectory(given.stateDirectory, dataDirectory)
  const config = keepingNames(given, stateDirectory)
  dropToOwner(dataDirectory)
  await removeUnfinished(stateDirectory)
  return {
    id: randomUUID(),
    dataDirectory,
    member,
    stateDirectory,
    connections: keepConnections(config, connectionsPerPath, { pathIdle }),
    rests: await openRests(stateDirectory),
    outages: openOutages(),
    config,
  }
}

/** A place in the WAL, as a segment and a byte of it. */
export interface Place {
  readonly timeline: number
  /** Of the segment. */
  readonly number: number
  /** Of the next byte, within the segment. */
  readonly offset: number
}

export function nameAt({ timeline, number }: Place, { walSegmentSize }: Member): string {
  return segmentName(timeline, number, walSegmentSize)
}

export function lsnAt({ number, offset }: Place, { walSegmentSize }: Member): bigint {
  return segmentStart(number, walSegmentSize) + BigInt(offset)
}

/** The start of the segment that holds the byte before. */
export function placeBefore(timeline: number, end: bigint, { walSegmentSize }: Member): Place {
  return { timeline, number: Number((end - 1n) / BigInt(walSegmentSize)), offset: 0 }
}

/** Where PostgreSQL notes what becomes of a segment, `SEGMENT.ready` or `SEGMENT.done`. */
export function statusFile(
  { dataDirectory }: Shipper,
  segment: string,
  status: 'ready' | 'done',
): string {
  return join(dataDirectory.path, 'pg_wal', 'archive_status', `${segment}.${status}`)
}
