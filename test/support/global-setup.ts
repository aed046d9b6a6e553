import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { build } from '../../scripts/build.ts'
import { describeError } from '../../src/errors.ts'
import { checkout, installLauncher, makeReadable } from './installation.ts'

/**
 * Builds pgarch once for a test run, into a folder that is removed at its end. When it does not
 * build, only the tests fail that ask for it.
 */
export async function setup(project: TestProject): Promise<() => void> {
  const root = mkdtempSync(join(tmpdir(), 'pgarch-installation-'))
  try {
    installLauncher(root)
    for (const part of ['package.json', 'sql']) {
      cpSync(join(checkout, part), join(root, part), { recursive: true })
    }
    await build(join(root, 'dist'))
    makeReadable(root)
    project.provide('installation', { root })
  } catch (error) {
    project.provide('installation', { failure: describeError(error) })
  }
  return () => rmSync(root, { recursive: true, force: true })
}
