import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createZstdDecompress, zstdCompress } from 'node:zlib'
import { describeError, PgarchError } from '../errors.ts'
import { parseWalName } from '../wal/names.ts'
import { inChunksOf } from './chunks.ts'
import { zstdParameters } from './compress.ts'
import { type Hashing, ownHashing } from './hashing.ts'
import type { Content, Digest } from './store.ts'
import { decodeTrailer, encodeTrailer, trailerSize } from './trailer.ts'

/** Content of one frame. Frames are compressed on the thread pool, so many beside one another. */
const frameSize = 1024 * 1024
const framesInFlight = 4
/** ZSTD_COMPRESSBOUND: a frame comes in one piece, and not in hundreds that are put together again. */
const largestFrame = frameSize + frameSize / 256 + 64
/** The largest wal_segment_size; damaged bytes shall not unpack to more. */
const largestContent = 1024 ** 3

const compress = promisify(zstdCompress)

/**
 * Where a path keeps a WAL file, relative to its root: `<fingerprint>/<first 16 digits>/<file>.zst`,
 * timeline history files in `<fingerprint>/`. Throws `refused` for what is not a WAL file's name.
 */
export function storedName(fingerprint: string, walName: string): string {
  const name = parseWalName(walName)
  if (name === undefined || !/^[0-9a-f-]{36}$/.test(fingerprint)) {
    throw new PgarchError('refused', `"${fingerprint}", "${walName}" do not name a WAL file`)
  }
  const directory = name.kind === 'history' ? '' : `${walName.slice(0, 16)}/`
  return `${fingerprint}/${directory}${walName}.zst`
}

/**
 * The bytes of the stored file, see docs/stored-file.md. It ends only when the content was what the
 * digest says, else it throws `refused`, so that a file which changes under us is never published.
 *
 * @param level of zstd, 1 to 19
 */
export async function* encode(
  content: Content,
  digest: Digest,
  level: number,
): AsyncGenerator<Uint8Array, void> {
  if (content.frame !== undefined) yield* content.frame
  else yield* compressed(content, digest, level)
  yield encodeTrailer(digest)
}

async function* compressed(
  content: Content,
  digest: Digest,
  level: number,
): AsyncGenerator<Uint8Array, void> {
  const params = zstdParameters(level)
  const sha256 = createHash('sha256')
  const frames: Promise<Buffer>[] = []
  let size = 0
  for await (const chunk of inChunksOf(frameSize, readable(content, digest))) {
    sha256.update(chunk)
    size += chunk.length
    const frame = compress(chunk, { params, chunkSize: largestFrame })
    frame.catch(() => {}) // it is awaited below, if nothing else fails before
    if (frames.push(frame) === framesInFlight) yield (await frames.shift()) as Buffer
  }
  if (size === 0) frames.push(compress(Buffer.alloc(0), { params }))
  for (const frame of frames) yield await frame
  if (size !== digest.size || sha256.digest('hex') !== digest.sha256) {
    throw new PgarchError('refused', `WAL file "${digest.walName}" changed while it was read`)
  }
}

async function* readable(content: Content, { walName }: Digest): AsyncGenerator<Uint8Array, void> {
  try {
    yield* content.open()
  } catch (thrown) {
    if (thrown instanceof PgarchError) throw thrown
    throw new PgarchError(
      'refused',
      `could not read WAL file "${walName}": ${describeError(thrown)}`,
      { cause: thrown },
    )
  }
}

/**
 * Gives the content of a stored file to `write`, and resolves with its digest once all of it was found
 * to be what its own trailer says. Until then what was written must not be used. Rejects with
 * `damaged`; errors of `stored` and `write` come through as they are.
 */
export async function decode(
  stored: AsyncIterable<Uint8Array>,
  walName: string,
  write: (content: Buffer) => Promise<void> | void,
  hashing: Hashing = ownHashing,
): Promise<Digest> {
  const sha256 = hashing.open()
  let size = 0
  let trailer: Buffer = Buffer.alloc(0)
  try {
    await pipeline(
      withoutTrailer(stored, (last) => {
        trailer = last
      }),
      createZstdDecompress({ chunkSize: frameSize }),
      async (content: AsyncIterable<Buffer>) => {
        for await (const chunk of content) {
          size += chunk.length
          if (size > largestContent)
            throw damaged(walName, 'unpacks to more than any WAL file holds')
          await Promise.all([sha256.update(chunk), write(chunk)])
        }
      },
    )
  } catch (thrown) {
    if (isFromZstd(thrown)) throw damaged(walName, describeError(thrown), thrown)
    throw thrown
  }
  const digest = readTrailer(trailer, walName)
  if (digest.size !== size || digest.sha256 !== (await sha256.digest())) {
    throw damaged(walName, 'does not hold what its trailer says')
  }
  return digest
}

/** What a stored file's last bytes say of this WAL file. Throws `damaged` when they do not. */
export function readTrailer(trailer: Buffer, walName: string): Digest {
  const digest = decodeTrailer(trailer)
  if (digest === undefined) throw damaged(walName, 'has no valid trailer')
  if (digest.walName === walName) return digest
  throw damaged(walName, `has the trailer of "${digest.walName}"`)
}

function damaged(walName: string, what: string, cause?: unknown): PgarchError {
  return new PgarchError('damaged', `stored file of "${walName}" is damaged: ${what}`, { cause })
}

/** All but the trailer: Node's decoder stops for good at a skippable frame. */
async function* withoutTrailer(
  stored: AsyncIterable<Uint8Array>,
  keep: (trailer: Buffer) => void,
): AsyncGenerator<Uint8Array, void> {
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of stored) {
    if (chunk.length >= trailerSize) {
      yield held
      yield chunk.subarray(0, -trailerSize)
      held = Buffer.from(chunk.subarray(-trailerSize))
    } else {
      const bytes = Buffer.concat([held, chunk])
      const end = Math.max(bytes.length - trailerSize, 0)
      yield bytes.subarray(0, end)
      held = bytes.subarray(end)
    }
  }
  keep(held)
}

/** Codes as node:zlib gives them, `ZSTD_error_..` and `Z_BUF_ERROR`. */
function isFromZstd(thrown: unknown): boolean {
  const code = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined
  return code !== undefined && /^(ZSTD_|Z_)/.test(code)
}
