import { Worker } from 'node:worker_threads'
import type { Hash, Hashing } from './hashing.ts'

/** What the thread runs. It is asked with `{ id, chunk }`, or `{ id }` for the digest, and answers in order. */
const program = `
const { createHash } = require('node:crypto')
const { parentPort } = require('node:worker_threads')
const hashes = new Map()
parentPort.on('message', ({ id, chunk }) => {
  if (!hashes.has(id)) hashes.set(id, createHash('sha256'))
  const hash = hashes.get(id)
  if (chunk !== undefined) hash.update(chunk)
  else hashes.delete(id)
  parentPort.postMessage(chunk === undefined ? hash.digest('hex') : '')
})
`

/**
 * sha256 on a thread of its own: where the processor has no instructions for it, it takes longer than
 * all the rest of a segment's way, and would keep everything else waiting.
 */
export function hashOnThread(): Hashing {
  const thread = new Worker(program, { eval: true })
  thread.unref()
  const waiting: PromiseWithResolvers<string>[] = []
  thread.on('message', (answer: string) => waiting.shift()?.resolve(answer))
  let failed: { error: unknown } | undefined
  thread.on('error', (error) => {
    failed = { error }
    for (const one of waiting.splice(0)) one.reject(error)
  })
  let opened = 0

  function ask(id: number, chunk?: Uint8Array): Promise<string> {
    if (failed !== undefined) return Promise.reject(failed.error)
    const one = Promise.withResolvers<string>()
    waiting.push(one)
    thread.postMessage({ id, chunk })
    return one.promise
  }

  return {
    allocate: (bytes) => Buffer.from(new SharedArrayBuffer(bytes)),
    open(): Hash {
      const id = opened++
      return {
        update: async (chunk) => void (await ask(id, chunk)),
        digest: () => ask(id),
      }
    },
  }
}
