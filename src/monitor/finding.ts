/** As a Nagios plugin's states; 'unknown': it could not be looked at. */
export type Severity = 'ok' | 'warning' | 'critical' | 'unknown'

/** One thing that was looked at, and what was found. */
export interface Finding {
  readonly severity: Severity
  /** What it is about, such as `cluster "app"`, `path "berlin"`, `journal`. */
  readonly about: string
  /** A phrase without a full stop, such as `2 conflicts`. */
  readonly text: string
  /** What to do, in whole sentences. */
  readonly hint?: string
}

/** How bad it is, least first; what is unknown may be anything, but critical is known to be bad. */
export const severities: readonly Severity[] = ['ok', 'warning', 'unknown', 'critical']

/** As exit statuses of monitoring plugins. */
export const severityCodes: Readonly<Record<Severity, number>> = {
  ok: 0,
  warning: 1,
  critical: 2,
  unknown: 3,
}

/** The worst of findings; what nothing was found about is unknown. */
export function worstOf(findings: readonly Finding[]): Severity {
  return worstFirst(findings)[0]?.severity ?? 'unknown'
}

/** In a stable order. */
export function worstFirst<Found extends Pick<Finding, 'severity'>>(
  findings: readonly Found[],
): Found[] {
  const rank = ({ severity }: Found) => severities.indexOf(severity)
  return [...findings].sort((one, other) => rank(other) - rank(one))
}
