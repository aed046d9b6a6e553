/**
 * The same bytes in chunks of exactly `size`, the last one shorter: what is written per request, or
 * compressed per frame, must not depend on how a source happens to read.
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

function joined(pieces: Uint8Array[]): Uint8Array {
  const [only] = pieces
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)
}
