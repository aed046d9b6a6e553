import type { PgarchError } from '../errors.ts'
import type { Finding } from './finding.ts'

/** What came of fetching a file; digests are sha256. */
type Proof =
  | { readonly outcome: 'on a path' | 'in the local archive'; readonly sha256: string }
  | { readonly outcome: 'not to be had'; readonly doubts: readonly PgarchError[] }

/**
 * Of a segment that the server was made to end.
 *
 * @param written the digest of what the server wrote; undefined: it is gone already
 */
export function proofFinding(
  walName: string,
  proof: Proof,
  written: string | undefined,
  seconds: number,
): Omit<Finding, 'about'> {
  const after = `${seconds.toFixed(1)} s after its end`
  if (proof.outcome === 'not to be had') {
    const [first] = proof.doubts
    const why = proof.doubts.map(({ message }) => message).join('; ') || 'no path has it'
    const hint = first?.hint
    const text = `${walName} cannot be fetched ${after}: ${why}`
    return { severity: 'critical', text, ...(hint !== undefined && { hint }) }
  }
  if (written !== undefined && proof.sha256 !== written) {
    return {
      severity: 'critical',
      text: `what was fetched as ${walName} is not what the server wrote`,
    }
  }
  if (proof.outcome === 'in the local archive') {
    const hint = 'Mend a path. "pgarch local drain" then brings it there.'
    return { severity: 'warning', text: `${walName} is in the local archive alone ${after}`, hint }
  }
  const is = written === undefined ? 'verifies' : 'is what the server wrote'
  return { severity: 'ok', text: `${walName} was fetched ${after}, and ${is}` }
}
