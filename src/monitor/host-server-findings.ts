import { prettyTime } from '../amounts.ts'
import type { Finding } from './finding.ts'
import type { HostArchiving } from './host-archiving.ts'
import type { HostServer } from './host-server.ts'

/** @param fingerprint the member's */
export function serverFindings(
  about: string,
  server: HostServer | 'in recovery',
  fingerprint: string,
): Finding[] {
  if (server === 'in recovery') {
    return [{ severity: 'ok', about, text: 'the server is in recovery and accepts no connections' }]
  }
  const of = (severity: Finding['severity'], text: string, hint?: string): Finding => ({
    ...{ severity, about, text },
    ...(hint !== undefined && { hint }),
  })
  const findings = [fingerprintFinding(of, server, fingerprint)]
  return archives(server) ? [...findings, ...settingFindings(of, server)] : findings
}

/** What the server counts as a failure, where pgarch itself has not told of one, and why. */
export function failedFinding(
  about: string,
  server: HostServer | 'in recovery',
  { failure, route }: HostArchiving,
): Finding | undefined {
  if (server === 'in recovery' || server.failed === undefined) return undefined
  if (failure !== undefined || (route !== undefined && route.route.switch !== 'start')) {
    return undefined
  }
  const { walName, time } = server.failed
  return {
    severity: 'critical',
    about,
    text: `archive_command failed for ${walName}, last at ${prettyTime(time)}`,
    hint: "The server's log tells why.",
  }
}

type Of = (severity: Finding['severity'], text: string, hint?: string) => Finding

function fingerprintFinding(of: Of, { fingerprint: stored }: HostServer, own: string): Finding {
  if (stored === own) return of('ok', `the server's fingerprint is ${own}, as registered`)
  if (stored === undefined) {
    const hint = 'Run "pgarch register" again on its primary, which writes it there.'
    return of('warning', 'the server holds no fingerprint, and may be any', hint)
  }
  return of(
    'critical',
    `the server holds fingerprint ${stored}, but its WAL is archived as that of ${own}`,
    'It is a copy of another cluster, or this host was registered as another one. See docs/conflicts.md, and "pgarch register --help".',
  )
}

/** A standby leaves archiving to its primary, unless it is told otherwise. */
function archives({ inRecovery, archiveMode }: HostServer): boolean {
  return !inRecovery || archiveMode === 'always'
}

function settingFindings(of: Of, server: HostServer): Finding[] {
  const { archiveMode, archiveCommand, archiveLibrary } = server
  if (archiveMode === 'off') {
    const hint = 'Set it to on, and restart the server. "pgarch register" prints all settings.'
    return [of('critical', 'archive_mode is off: no WAL is archived', hint)]
  }
  if (archiveLibrary !== '') {
    return [of('critical', `archive_library is "${archiveLibrary}": pgarch archives nothing`)]
  }
  if (['', '(disabled)'].includes(archiveCommand)) {
    return [of('critical', 'archive_command is empty: no WAL is archived')]
  }
  if (!/pgarch/.test(archiveCommand)) {
    const text = `archive_command does not name pgarch: ${archiveCommand}`
    return [of('warning', text, 'Where a script runs it, let its name say so.')]
  }
  return []
}
