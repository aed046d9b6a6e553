import { randomUUID } from 'node:crypto'
import { type OpenOptions, openStore, withStore } from '../../src/stores/open.ts'
import type { PathDescription, Store, StoreOptions } from '../../src/stores/store.ts'
import { unprivileged } from '../support/unprivileged.ts'

/** One kind of store under test: what describes a path to it. */
export interface Bed {
  readonly path: Omit<PathDescription, 'id' | 'uuid' | 'name' | 'rootPath' | 'reserveBytes'>
  readonly options: StoreOptions
}

export const options: StoreOptions = {
  identity: undefined,
  connectTimeout: 10_000,
  stallTimeout: 20_000,
  transferTimeout: 60_000,
  compressionLevel: 1,
}

export function describePath(bed: Bed, rootPath: string, reserveBytes = 0): PathDescription {
  return { ...bed.path, id: 1, uuid: randomUUID(), name: 'site-a', rootPath, reserveBytes }
}

/** A path that was claimed, and its store; the caller closes it. */
export async function openClaimed(bed: Bed, rootPath: string, reserveBytes = 0): Promise<Store> {
  const path = describePath(bed, rootPath, reserveBytes)
  await claim(bed, path)
  return await openStore(path, bed.options)
}

export async function claim(bed: Bed, path: PathDescription): Promise<void> {
  const unclaimed: OpenOptions = { unclaimed: true }
  await withStore(path, bed.options, (store) => store.claim(), unclaimed)
}

/** Runs without root's power to pass by every permission. */
export async function withoutPrivilege<Result>(use: () => Promise<Result>): Promise<Result> {
  if (process.getuid?.() !== 0) return await use()
  process.seteuid?.(unprivileged.uid)
  try {
    return await use()
  } finally {
    process.seteuid?.(0)
  }
}
