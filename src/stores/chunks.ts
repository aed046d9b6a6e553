/**
 * The same bytes in chunks of exactly `size`, the last one shorter: what is compressed per frame must
 * not depend on how a source happens to read.
 */
export async function* inChunksOf(
  size: number,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  let held: Uint8Array[] = []
  let heldSize = 0
  for await (const chunk of source) {
    let start = 0
    while (heldSize + chunk.length - start >= size) {
      const end = start + size - heldSize
      yield joined([...held, chunk.subarray(start, end)])
      held = []
      heldSize = 0
      start = end
    }
    if (start < chunk.length) {
      held.push(chunk.subarray(start))
      heldSize += chunk.length - start
    }
  }
  if (heldSize > 0) yield joined(held)
}

/** The same bytes in the same chunks, but those that are larger than `most` cut. */
export async function* inChunksUpTo(
  most: number,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of source) {
    for (let start = 0; start < chunk.length; start += most) {
      yield chunk.subarray(start, start + most)
    }
  }
}

function joined(pieces: Uint8Array[]): Uint8Array {
  const [only] = pieces
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)
}
