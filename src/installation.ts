import { dirname, join } from 'node:path'

/** Where the package lies: Node.js was given `<root>/dist/pgarch.cjs` by the launcher. */
const root = join(dirname(process.argv[1] ?? ''), '..')

/** The numbered migrations. */
export const migrationsFolder = join(root, 'sql')

/** The launcher, for archive_command and restore_command: absolute. */
export const launcher = join(root, 'bin', 'pgarch')
