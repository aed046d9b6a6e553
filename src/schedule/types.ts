/** What `pgarch register` was given, and every agent call must show. */
export interface Membership {
  /** uuid */
  readonly memberId: string
  /** The secret, as it lies in member.json; the scheduling database knows only its sha256. */
  readonly credential: string
}

export type Switch = 'start' | 'pause' | 'stop'

/** One archive path, as the scheduling database describes it to a host. */
export interface SchedulePath {
  readonly id: number
  readonly uuid: string
  readonly name: string
  readonly kind: 'sftp' | 'local'
  /** The DNS name where there is one, else the address; null for a local path. */
  readonly sshHost: string | null
  readonly sshPort: number | null
  readonly sshUser: string | null
  readonly hostKey: string | null
  readonly rootPath: string
  /** Bytes that a push leaves free. */
  readonly reserveBytes: number
  readonly priority: number
}

/** A cluster's active paths, highest priority first, and whether it archives at all. */
export interface Route {
  readonly fingerprint: string
  readonly clusterName: string
  /** Grows with every change to the route, its paths or the switch. */
  readonly version: number
  readonly switch: Switch
  readonly switchReason: string | null
  readonly switchAuthor: string | null
  readonly paths: readonly SchedulePath[]
}

/** One WAL file that is about to be archived. */
export interface Claim {
  readonly walName: string
  /** 64 lower-case hex digits, of the uncompressed file. */
  readonly sha256: string
  /** Bytes, uncompressed. */
  readonly walSize: number
  /** The whole file, for timeline history files only: they are small, and kept in the database too. */
  readonly history: Buffer | null
}

/** What a claim met: nothing, or the same content; or other content under the same name. */
export type ClaimOutcome =
  | { readonly outcome: 'claimed' }
  | { readonly outcome: 'conflict'; readonly sha256: string; readonly claimedBy: string }

/**
 * What became of a WAL file at one place. On a path, one try: `stored`, `already-stored`, `conflict` or
 * `failed`. In this host's local archive: `local`, it lies there now; `drained`, it no longer does.
 */
export interface CopyEvent {
  /** uuid, made by the host; the same event delivered twice counts once. */
  readonly eventId: string
  readonly walName: string
  readonly walSize: number
  /** null: the local archive. */
  readonly pathId: number | null
  readonly status: 'stored' | 'already-stored' | 'conflict' | 'failed' | 'local' | 'drained'
  readonly storedBytes: number | null
  readonly durationMilliseconds: number
  readonly error: string | null
  readonly time: Date
  /** Of the stored file in the local archive; null on a path, which knows it itself. */
  readonly fullPath: string | null
}

/** What the scheduling database is to learn of one WAL file: its content, and where it went. */
export interface Entry {
  readonly claim: Claim
  readonly events: readonly CopyEvent[]
}

/** Content that was stored, and then refused when it was claimed: the archive has other content. */
export interface LateConflict {
  readonly walName: string
  /** Of the claimed content. */
  readonly sha256: string
  readonly claimedBy: string
}

/** How a host that restores names the cluster; a membership or a name decide before the identifier. */
export interface ClusterReference {
  /** As PostgreSQL prints it: an unsigned 64-bit decimal; null when only the name is known. */
  readonly systemIdentifier: string | null
  readonly clusterName: string | null
  /** From member.json, when the host is a member. */
  readonly fingerprint: string | null
}

/** Everything that is known of one WAL file of one cluster, and every path that could hold it. */
export interface Location {
  readonly fingerprint: string
  readonly clusterName: string
  readonly systemIdentifier: string
  readonly walSegmentSize: number
  /** null: never claimed. */
  readonly file: { sha256: string; walSize: number; history: Buffer | null } | null
  /** All paths of the cluster, those with a copy first, then by priority; inactive ones included. */
  readonly paths: readonly (SchedulePath & { readonly hasCopy: boolean })[]
  /** Names of paths that had it, and were declared lost. */
  readonly lostPaths: readonly string[]
  /** Names of hosts that had it in a local archive that was declared lost. */
  readonly lostHosts: readonly string[]
  /** Names of paths from which a clean-up took it, as a standby had replayed it. */
  readonly cleanedPaths: readonly string[]
  /** Members in whose local archives the file still lies. */
  readonly localMembers: readonly { readonly memberId: string; readonly host: string }[]
  /** The file was dropped on purpose while the cluster's switch was at stop. */
  readonly dropped: boolean
  /** Whether any path of the cluster was declared lost. */
  readonly lostAPath: boolean
  /** A standby of the scheduling database answered: it may not know the newest paths and files. */
  readonly asOfStandby: boolean
  /**
   * Other clusters with this system identifier, when nobody named the cluster: what was archived before
   * one was copied from the other lies with either.
   */
  readonly namesakes: readonly string[]
}
