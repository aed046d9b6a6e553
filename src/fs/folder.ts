import { mkdir, readdir } from 'node:fs/promises'
import { fileError, hasCode } from './errors.ts'

/** Makes a folder for its owner alone, and what lies above it; returns its path. */
export async function makeFolder(path: string): Promise<string> {
  await mkdir(path, { mode: 0o700, recursive: true }).catch((thrown) => {
    throw fileError('create directory', path, thrown)
  })
  return path
}

export async function namesIn(folder: string): Promise<string[]> {
  return await readdir(folder).catch((thrown) => {
    throw fileError('read directory', folder, thrown)
  })
}

/** None where there is no such folder. */
export async function namesIfThere(folder: string): Promise<string[]> {
  return await readdir(folder).catch((thrown) => {
    if (hasCode(thrown, 'ENOENT')) return []
    throw fileError('read directory', folder, thrown)
  })
}
