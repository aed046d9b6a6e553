// The installed program's first file: small, without imports, and in a dialect that an old Node.js
// can parse as well, so that the wrong one is told in a line instead of a stack.

// Stands until src/cli.ts has decided: a program that is empty or never settles did not succeed.
process.exitCode = 1

if (Number.parseInt(process.versions.node, 10) < 24) {
  process.stderr.write(`pgarch: ERROR:  Node.js ${process.version} is too old, pgarch needs 24\n`)
  process.exitCode = 45 // failed: src/exit-codes.ts
  process.stderr.write(
    'pgarch: HINT:  Install pgarch with npm, or set PGARCH_NODE to a newer one.\n',
  )
} else {
  enableCompileCache()
  require('./main.cjs')
}

/**
 * V8 then keeps the compiled program from one start to the next. What is kept is run, so it must lie
 * where nobody else can write: not below the temporary directory, which is Node's default, but in
 * the user's own cache directory. Where there is none, pgarch just starts without.
 */
function enableCompileCache(): void {
  const { mkdirSync, statSync } = process.getBuiltinModule('node:fs')
  const { homedir } = process.getBuiltinModule('node:os')
  const module = process.getBuiltinModule('node:module')
  try {
    const directory = `${homedir()}/.cache/pgarch`
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const { uid, mode } = statSync(directory)
    if (uid === process.getuid?.() && (mode & 0o022) === 0) module.enableCompileCache(directory)
  } catch {
    // A read-only system, or a user without a home.
  }
}
