import { PgarchError } from '../../src/errors.ts'
import { openStore } from '../../src/stores/open.ts'
import type { RacerArguments, Round } from './race.ts'
import { sample } from './samples.ts'

/** One of the two processes of race.ts: puts what it is sent, and answers what became of it. */
const { path, options } = JSON.parse(process.argv[2] as string) as RacerArguments
const store = await openStore(path, options)
process.on('disconnect', () => process.exit())
process.on('message', async ({ name, walName, bytes }: Round) => {
  const { content, digest } = sample(Buffer.from(bytes, 'base64'), walName)
  const put = store.put(name, content, digest)
  process.send?.(
    await put.then(
      ({ outcome }) => outcome,
      (thrown: unknown) => (thrown instanceof PgarchError ? thrown.failure : String(thrown)),
    ),
  )
})
process.send?.('ready')
