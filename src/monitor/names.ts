import { askAddresses, askServices, type NameSettings, serviceName } from '../dns/ask.ts'
import { usable } from '../dns/services.ts'
import { PgarchError } from '../errors.ts'
import type { Schedule } from '../schedule/connect.ts'
import { type RecordedName, recordAddress } from '../schedule/names.ts'

/** Names that are asked for at the same time. */
const questionsAtOnce = 20

/** What DNS says of a name, beside what the scheduling database has. */
export interface ComparedName {
  readonly kind: RecordedName['kind'] | 'schedule'
  /** As in RecordedName; null for a server of the scheduling database. */
  readonly id: string | null
  /** The path's or the cluster's name, or the domain that has the SRV records. */
  readonly of: string
  readonly host: string
  readonly recorded: string | null
  /** What the name leads to now; none: see `trouble`. */
  readonly addresses: readonly string[]
  /** Undefined: they agree. */
  readonly trouble: string | undefined
}

/** Undefined when what is recorded is one of the name's addresses. */
export function nameTrouble(
  recorded: string | null,
  addresses: readonly string[],
): string | undefined {
  if (recorded === null) return 'no address is recorded'
  if (addresses.includes(recorded)) return undefined
  return 'another address is recorded'
}

/** Asks for every name, and compares; in the order in which they are given. */
export async function compareNames(
  names: readonly RecordedName[],
  settings: NameSettings,
): Promise<ComparedName[]> {
  const answers = new Map<string, Answer>()
  const left = new Set(names.map(({ host }) => host)).values()
  const ask = async () => {
    for (const host of left) answers.set(host, await answerFor(host, settings))
  }
  await Promise.all(Array.from({ length: questionsAtOnce }, ask))
  return names.map(({ address: recorded, ...name }) => {
    const { addresses, trouble } = answers.get(name.host) as Answer
    return { ...name, recorded, addresses, trouble: trouble ?? nameTrouble(recorded, addresses) }
  })
}

/** Records what a name leads to now, where that is not what was recorded; the trouble tells so this time. */
export async function recordCompared(
  schedule: Schedule,
  compared: ComparedName,
): Promise<ComparedName> {
  const { kind, id, addresses, trouble } = compared
  const [address] = addresses
  if (kind === 'schedule' || id === null || trouble === undefined || address === undefined) {
    return compared
  }
  try {
    await recordAddress(schedule, { kind, id }, address)
    return { ...compared, trouble: `${trouble}: now it is ${address}` }
  } catch (error) {
    if (!(error instanceof PgarchError) || error.failure !== 'refused') throw error
    return { ...compared, trouble: `${trouble}: ${error.message}` }
  }
}

/** The servers that a domain's SRV records name: whether hosts can find them. */
export async function checkServices(
  domain: string,
  settings: NameSettings,
): Promise<ComparedName[]> {
  const about = { kind: 'schedule', id: null, of: domain, recorded: null } as const
  try {
    const services = usable(domain, await askServices(domain, settings))
    return await Promise.all(
      services.map(async ({ host }) => ({
        ...about,
        host,
        ...(await answerFor(host, settings)),
      })),
    )
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    return [{ ...about, host: serviceName(domain), addresses: [], trouble: error.message }]
  }
}

interface Answer {
  readonly addresses: readonly string[]
  readonly trouble: string | undefined
}

async function answerFor(host: string, settings: NameSettings): Promise<Answer> {
  try {
    return { addresses: (await askAddresses(host, settings)).addresses, trouble: undefined }
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    return { addresses: [], trouble: error.message }
  }
}
