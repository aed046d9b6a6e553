import { join } from 'node:path'
import { expect } from 'vitest'
import type { Failure } from '../../src/errors.ts'
import type { Content, Store } from '../../src/stores/store.ts'
import { storedName } from '../../src/stores/stored-file.ts'
import type { Bed } from './bed.ts'
import { fingerprint, type Sample, segment } from './samples.ts'

/** What one test of the conformance suite works on; new for each, but for `folder` and `bed`. */
export interface Bench {
  readonly folder: string
  readonly bed: Bed
  /** Of `store`, as the test sees it: it may look at what is stored, and spoil it. */
  readonly rootPath: string
  /** For a get; does not exist yet. */
  readonly destination: string
  store: Store
  /** The local name of a stored file, `name` unless told. */
  stored(file?: string): string
  put(from: Sample, content?: Content, signal?: AbortSignal): ReturnType<Store['put']>
}

/** Where a sample is stored, unless its name is another. */
export const name = storedName(fingerprint, segment)

/** Lays new things on the bench that all tests of a suite share. */
export function layOn(
  bench: Bench,
  given: Pick<Bench, 'folder' | 'bed' | 'rootPath' | 'destination' | 'store'>,
): void {
  Object.assign(bench, given)
  bench.stored = (file = name) => join(bench.rootPath, file)
  bench.put = (from, content = from.content, signal) =>
    bench.store.put(storedName(fingerprint, from.digest.walName), content, from.digest, signal)
}

/** Matches a PgarchError. */
export function failure(of: Failure, message = /./): unknown {
  return expect.objectContaining({
    name: 'PgarchError',
    failure: of,
    message: expect.stringMatching(message),
  })
}
