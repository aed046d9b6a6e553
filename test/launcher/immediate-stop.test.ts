import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { startServer } from '../support/postgres.ts'
import { makeNode } from './host.ts'
import { makeBench, shells } from './launch.ts'

const bench = makeBench()
afterAll(() => bench.remove())

const node = makeNode(bench, 'exec sleep 60')

test.for(shells)('an immediate stop is not held up by a push under %s', async (shell) => {
  const server = await startServer({
    walSegmentSizeMegabytes: 1,
    settings: {
      archive_mode: 'on',
      archive_command: `exec ${shell.join(' ')} '${bench.pgarch}' push %p %f`,
    },
    environment: { PGARCH_STATE_DIR: join(bench.dataDirectory, 'state'), PGARCH_NODE: node },
  })
  await server.query('create table filler (n int); select pg_switch_wal()')
  await expect.poll(() => server.log(), { timeout: 30_000 }).toMatch(/^node$/m)
  await server.stop('immediate')
  // PostgreSQL 15, pgarch.c: it does not hear SIGQUIT while the command runs, and must be told.
  expect(server.log()).not.toMatch(/SIGKILL/)
  expect(server.log().match(/^node$/gm)).toHaveLength(1)
})
