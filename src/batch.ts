/**
 * Makes one call for many: what is asked for while a call is on its way goes into the next one, all
 * together. `run` gets at most `most` items, and resolves to as many results in the same order; when
 * it rejects, all of them do.
 */
export function batching<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  most: number,
): (item: Item) => Promise<Result> {
  const waiting: { item: Item; settle: PromiseWithResolvers<Result> }[] = []
  let running = false

  async function work(): Promise<void> {
    running = true
    while (waiting.length > 0) {
      const batch = waiting.splice(0, most)
      try {
        const results = await run(batch.map(({ item }) => item))
        for (const [index, { settle }] of batch.entries()) settle.resolve(results[index] as Result)
      } catch (error) {
        for (const { settle } of batch) settle.reject(error)
      }
    }
    running = false
  }

  return (item) => {
    const settle = Promise.withResolvers<Result>()
    waiting.push({ item, settle })
    if (!running) void work()
    return settle.promise
  }
}
