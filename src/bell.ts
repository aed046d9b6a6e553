/** Rings for whoever waits. */
export interface Bell {
  ring(): void
  /** Resolves when it rings; resolved, too, when it rang before anybody asked. */
  rings(): Promise<void>
  /** Before looking what there is: what comes later rings again. */
  answer(): void
}

export function newBell(): Bell {
  let rung = Promise.withResolvers<void>()
  return {
    ring: () => rung.resolve(),
    rings: () => rung.promise,
    answer() {
      rung = Promise.withResolvers()
    },
  }
}

/** Resolves when one of them rings, or after so many milliseconds. */
export async function ringsWithin(milliseconds: number, ...bells: readonly Bell[]): Promise<void> {
  const time = Promise.withResolvers<void>()
  const timer = setTimeout(time.resolve, milliseconds)
  try {
    await Promise.race([time.promise, ...bells.map((bell) => bell.rings())])
  } finally {
    clearTimeout(timer)
  }
}
