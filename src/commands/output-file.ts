/**
 * Replaces what `--output` names, as a whole: whoever reads the file meanwhile has the old one. `usage` for what
 * is no regular file, such as a device that root would turn into one.
 */
export async function writeOutput(file: string, text: string): Promise<void> {
  const { lstat } = await import('node:fs/promises')
  const { writeDurably } = await import('../fs/durable.ts')
  const { PgarchError } = await import('../errors.ts')
  const status = await lstat(file).catch(() => undefined)
  if (status !== undefined && !status.isFile()) {
    throw new PgarchError('usage', `"${file}" is not a regular file`, {
      hint: '--output replaces the file of this name. For a pipe or a device write to standard output.',
    })
  }
  await writeDurably(file, text, { mode: 0o644 })
}
