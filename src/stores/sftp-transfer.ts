import { inChunksUpTo } from './chunks.ts'
import type { SftpHandle } from './sftp-handle.ts'
import type { Watch } from './watch.ts'

/** The most that OpenSSH's server takes in one request, beside the request's own fields: 255 KiB. */
const requestSize = 255 * 1024
const requestsInFlight = 16

/** Tells what was attempted, of which file, when it rejects. */
export type Attempt = <Result>(action: string, work: () => Promise<Result>) => Promise<Result>

/** The bytes from `start` to before `end`, several requests ahead; ends early where the file does. */
export async function* readAhead(
  handle: SftpHandle,
  { start, end }: { readonly start: number; readonly end: number },
  watch: Watch,
  attempt: Attempt,
): AsyncGenerator<Uint8Array, void> {
  const inFlight: Promise<Buffer>[] = []
  for (let position = start; position < end || inFlight.length > 0; ) {
    watch.signal.throwIfAborted()
    while (position < end && inFlight.length < requestsInFlight) {
      const length = Math.min(requestSize, end - position)
      inFlight.push(quiet(watch.step(handle.read(position, length))))
      position += length
    }
    const chunk = inFlight.shift() as Promise<Buffer>
    yield await attempt('read', () => chunk)
  }
}

/**
 * Writes from `start` on, cuts off what is left of the size that the file had before, fsyncs and closes
 * it; resolves with its size.
 */
export async function fill(
  handle: SftpHandle,
  { start, before }: { readonly start: number; readonly before: number },
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  watch: Watch,
  attempt: Attempt,
): Promise<number> {
  let size = start
  let closing: Promise<void> | undefined
  try {
    const inFlight: Promise<void>[] = []
    const oldest = () => attempt('write', () => inFlight.shift() as Promise<void>)
    for await (const chunk of inChunksUpTo(requestSize, bytes)) {
      watch.signal.throwIfAborted()
      if (inFlight.length === requestsInFlight) await oldest()
      inFlight.push(quiet(watch.step(handle.write(size, chunk))))
      size += chunk.length
    }
    if (before > size) inFlight.push(quiet(watch.step(handle.cutOff(size))))
    // The server works in order: these two need not wait until it has answered the writes.
    const syncing = quiet(handle.sync())
    closing = handle.close()
    while (inFlight.length > 0) await oldest()
    await attempt('fsync', () => watch.unhurried(syncing))
  } finally {
    await (closing ?? handle.close())
  }
  return size
}

/** It is awaited in its turn; one that fails before, while another's failure is handled, is no bug. */
function quiet<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {})
  return promise
}
