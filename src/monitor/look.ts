import { setTimeout as sleep } from 'node:timers/promises'
import { PgarchError } from '../errors.ts'
import type { Finding } from './finding.ts'
import type { Checked } from './measure.ts'

/** One of the things that a check looks at. */
export interface Part {
  /** As in a finding. */
  readonly about: string
  look(): Promise<Checked>
}

/**
 * Looks at all parts at once. One that rejects with a PgarchError, or is not done in time, is unknown,
 * and hides nothing of the others.
 */
export async function lookAt(parts: readonly Part[], milliseconds: number): Promise<Checked> {
  const timer = new AbortController()
  const late = sleep(milliseconds, 'late' as const, { signal: timer.signal })
  late.catch(() => {})
  const looked = await Promise.all(parts.map((part) => lookAtOne(part, late, milliseconds)))
  timer.abort()
  return {
    findings: looked.flatMap(({ findings }) => findings),
    measures: looked.flatMap(({ measures }) => measures),
  }
}

async function lookAtOne(
  { about, look }: Part,
  late: Promise<'late'>,
  milliseconds: number,
): Promise<Checked> {
  const unknown = (text: string, hint?: string): Checked => {
    const finding: Finding = { severity: 'unknown', about, text }
    return { findings: [hint === undefined ? finding : { ...finding, hint }], measures: [] }
  }
  try {
    const checked = await Promise.race([look(), late])
    return checked === 'late' ? unknown(`no answer within ${milliseconds / 1000} s`) : checked
  } catch (error) {
    if (error instanceof PgarchError) return unknown(error.message, error.hint)
    throw error
  }
}
