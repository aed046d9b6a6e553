import { execFileSync } from 'node:child_process'
import { constants, copyFileSync, cpSync, linkSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inject } from 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    /** From global-setup.ts: where the copy lies, or why there is none. */
    installation: { root: string } | { failure: string }
  }
}

/** The checkout that the tests belong to. */
export const checkout = join(import.meta.dirname, '..', '..')

/**
 * A copy of what an installation consists of, built for this test run, that the unprivileged user
 * can run also when the checkout lies in a folder it may not enter. Throws when the build failed.
 */
export function installation(): { readonly root: string; readonly pgarch: string } {
  const provided = inject('installation')
  if ('failure' in provided) throw new Error(`pgarch does not build: ${provided.failure}`)
  return { root: provided.root, pgarch: join(provided.root, 'bin', 'pgarch') }
}

/** Lays out an installation without its dist: the launcher, and Node.js where npm would put it. */
export function installLauncher(root: string): void {
  cpSync(join(checkout, 'bin'), join(root, 'bin'), { recursive: true })
  installNode(join(root, 'node_modules'))
  makeReadable(root)
}

/** Puts the Node.js that runs the tests into a node_modules folder. */
export function installNode(modules: string): void {
  const node = join(modules, `node-linux-${process.arch}`, 'bin', 'node')
  mkdirSync(dirname(node), { recursive: true })
  try {
    linkSync(process.execPath, node)
  } catch {
    // On another file system, or somebody else's file.
    copyFileSync(process.execPath, node, constants.COPYFILE_FICLONE)
  }
}

/** For everybody, whatever the umask was when the checkout was made. */
export function makeReadable(root: string): void {
  execFileSync('chmod', ['-R', 'a+rX', root])
}
