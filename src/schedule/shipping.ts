import { formatLsn } from '../wal/lsn.ts'
import { only } from './agent.ts'
import type { Schedule } from './connect.ts'
import type { Membership } from './types.ts'

/** How far a shipper has come. */
export interface ShippingReport {
  /** uuid of the process. */
  readonly shipper: string
  readonly timeline: number
  /** On the path up to here; null: nothing yet. */
  readonly shipped: bigint | null
  /** How far the server was then; null: not asked. */
  readonly flushed: bigint | null
  readonly pathId: number | null
  /** It ends by itself, and lets any other one in. */
  readonly ended: boolean
}

export interface ShippingAnswer {
  /** The host whose shipper is the cluster's, if that is another one: nothing was noted. */
  readonly holder: string | null
  /** The route's. */
  readonly version: number
  /** Of all later timelines that are known. */
  readonly histories: readonly { readonly walName: string; readonly content: Buffer }[]
}

/** Rejects with `refused` for an unknown membership or a retired cluster. */
export async function reportShipping(
  schedule: Schedule,
  { memberId, credential }: Membership,
  { shipped, flushed, ...rest }: ShippingReport,
): Promise<ShippingAnswer> {
  const asText = (lsn: bigint | null) => (lsn === null ? null : formatLsn(lsn))
  const report = { ...rest, shippedLsn: asText(shipped), flushLsn: asText(flushed) }
  const [row] = await schedule.query<{
    answer: Omit<ShippingAnswer, 'histories'> & {
      histories: { walName: string; history: string }[]
    }
  }>('select pgarch.shipped($1, $2, $3) as answer', [memberId, credential, JSON.stringify(report)])
  const { histories, ...answer } = only(row).answer
  return {
    ...answer,
    histories: histories.map(({ walName, history }) => ({
      walName,
      content: Buffer.from(history, 'base64'),
    })),
  }
}
