/** How many clusters: `npm run test:fleet` has 50, `npm test` a few. */
export const clusterCount = Number(process.env.PGARCH_FLEET ?? 6)

const isFull = process.env.PGARCH_FLEET !== undefined

/** Milliseconds for each part of it. */
export const limit = isFull ? 3_600_000 : 300_000

export const extent = isFull
  ? {
      /** How often everything happens that can. */
      rounds: 4,
      /** Milliseconds that a fault lasts, and that lie between two. */
      fault: 12_000,
      calm: 3_000,
      /** Milliseconds between two segments of a cluster, on average: three a second in all. */
      pace: clusterCount * 320,
      /** Clusters that are restored in the end. */
      restored: 10,
      /** What failed rests as long as it does in earnest. */
      restsEnd: false,
      /** pgarch's own. */
      deadlines: {
        PGARCH_SSH_CONNECT_TIMEOUT: '10s',
        PGARCH_STALL_TIMEOUT: '15s',
        PGARCH_TRANSFER_TIMEOUT: '120s',
        PGARCH_SCHEDULE_TIMEOUT: '3s',
      },
    }
  : {
      rounds: 2,
      fault: 700,
      calm: 200,
      pace: 1_500,
      restored: 2,
      restsEnd: true,
      deadlines: {
        PGARCH_SSH_CONNECT_TIMEOUT: '2s',
        PGARCH_STALL_TIMEOUT: '2s',
        PGARCH_TRANSFER_TIMEOUT: '6s',
        PGARCH_SCHEDULE_TIMEOUT: '1s',
      },
    }

/** Of everything that has to succeed, however busy the machine is. */
export const patient = {
  PGARCH_FETCH_PATIENCE: '10min',
  PGARCH_SCHEDULE_TIMEOUT: '30s',
  PGARCH_SSH_CONNECT_TIMEOUT: '60s',
  PGARCH_STALL_TIMEOUT: '60s',
  PGARCH_TRANSFER_TIMEOUT: '5min',
}

const start = performance.now()

/** Lines for docs/reliability.md. */
export function report(what: string, figures: Readonly<Record<string, number>>): void {
  if (!isFull) return
  const words = Object.entries(figures).map(([name, value]) => `${name} ${value}`)
  const seconds = Math.round((performance.now() - start) / 1000)
  process.stdout.write(`${seconds} s, ${what}: ${words.join(', ')}\n`)
}

/** So many at once. */
export async function inParallel<Item>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = [...items].values()
  const lane = async () => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}
