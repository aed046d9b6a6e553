import { describe, expect, test } from 'vitest'
import { prettyTime } from '../../src/amounts.ts'
import { worstOf } from '../../src/monitor/finding.ts'
import { type HostArchiving, parseTroubles } from '../../src/monitor/host-archiving.ts'
import {
  archivingFindings,
  journalFindings,
  localArchiveFindings,
} from '../../src/monitor/host-findings.ts'
import { prefetchFindings } from '../../src/monitor/host-recovery.ts'
import type { HostServer } from '../../src/monitor/host-server.ts'
import { failedFinding, serverFindings } from '../../src/monitor/host-server-findings.ts'
import { judge } from '../../src/monitor/measure.ts'
import type { Switch } from '../../src/schedule/types.ts'

const now = new Date(1_700_000_000_000)
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000)
const subject = { about: 'it', of: undefined }
const failure = { walName: '000000010000000000000007', time: ago(5), reason: 'no', hint: null }

function archiving(of: Partial<HostArchiving> & { switch?: Switch }): HostArchiving {
  const route = { switch: of.switch ?? 'start', switchReason: null, switchAuthor: 'eve' }
  return {
    ready: { count: 0, oldest: undefined },
    failure: undefined,
    route: { readTime: ago(60), route } as unknown as HostArchiving['route'],
    ...of,
  }
}

describe('archiving', () => {
  test.each([
    ['nothing waits', archiving({}), 'ok'],
    ['nothing was ever pushed', archiving({ route: undefined }), 'ok'],
    ['a file waits', archiving({ ready: { count: 1, oldest: ago(299) } }), 'ok'],
    ['it waits for long', archiving({ ready: { count: 1, oldest: ago(301) } }), 'warning'],
    ['it waits for too long', archiving({ ready: { count: 1, oldest: ago(901) } }), 'critical'],
    ['the clock was set back', archiving({ ready: { count: 1, oldest: ago(-5000) } }), 'ok'],
    ['it failed', archiving({ failure }), 'critical'],
    ['paused', archiving({ switch: 'pause' }), 'warning'],
    ['paused, so that pushes fail', archiving({ switch: 'pause', failure }), 'warning'],
    ['stopped', archiving({ switch: 'stop' }), 'critical'],
  ] as const)('%s', (_, facts, severity) => {
    const { findings, measures } = archivingFindings(subject, facts, now)
    expect(worstOf([...findings, ...measures.map(judge)])).toBe(severity)
  })

  test('the journal: a young one is nothing to wake a person for', () => {
    const states = [0, 299, 301].map((age) => {
      const journal = {
        length: age === 0 ? 0 : 3,
        oldest: age === 0 ? null : ago(age),
        ofOthers: 0,
      }
      return worstOf(journalFindings(subject, journal, now).measures.map(judge))
    })
    expect(states).toEqual(['ok', 'ok', 'warning'])
    const ofOthers = { length: 1, oldest: ago(1), ofOthers: 1 }
    expect(worstOf(journalFindings(subject, ofOthers, now).findings)).toBe('warning')
  })

  test('a local archive of a million files is told of as one of a few', () => {
    const stored = Array.from({ length: 1_000_000 }, (_, n) => ago(1_000_000 - n))
    const [found] = localArchiveFindings(subject, stored).findings
    expect(found?.text).toBe(
      `1000000 files are in the local archive alone, since ${prettyTime(ago(1_000_000))}`,
    )
  })

  test('who has started the cluster again reads why it still seems to be stopped', () => {
    const [, found] = archivingFindings(subject, archiving({ switch: 'stop' }), now).findings
    expect(found?.hint).toMatch(
      /cluster start .* to go on\. Where that was done, the next push reads it\.$/,
    )
  })

  test.each([
    ['pgarch: WARNING:  one\npgarch: ERROR:  two\npgarch: HINT:  Three.\n', 'two', 'Three.'],
    ['pgarch: ERROR:  two\n', 'two', null],
    ['pgarch: ERROR:  one\npgarch: HINT:  Ha.\npgarch: ERROR:  two\n', 'two', null],
    ['pgarch: ERROR:  one\npgarch: HINT:  Two.\npgarch: WARNING:  three\n', 'one', 'Two.'],
    ['pgarch: WARNING:  one\npgarch: HINT:  Two.\n', 'one', 'Two.'],
    ['pgarch: ERROR:  one\n    at pgarch\n', 'one', null],
    ['', 'no reason was noted', null],
  ])('of the lines for the server log %j', (text, reason, hint) => {
    expect(parseTroubles(text)).toEqual({ reason, hint })
  })
})

const server: HostServer = {
  inRecovery: false,
  fingerprint: 'f',
  archiveMode: 'on',
  archiveCommand: '/usr/bin/pgarch push %p %f',
  archiveLibrary: '',
  failed: undefined,
}

describe('the server', () => {
  test.each<[string, Partial<HostServer> | 'in recovery', string]>([
    ['as it should be', {}, 'ok'],
    ['in recovery, and closed', 'in recovery', 'ok'],
    ['another fingerprint', { fingerprint: 'g' }, 'critical'],
    ['none', { fingerprint: undefined }, 'warning'],
    ['archive_mode off', { archiveMode: 'off' }, 'critical'],
    ['archive_mode off on a standby', { archiveMode: 'off', inRecovery: true }, 'ok'],
    ['an archive_library', { archiveLibrary: 'basic_archive' }, 'critical'],
    ['no archive_command', { archiveCommand: '' }, 'critical'],
    ['none, as PostgreSQL shows it', { archiveCommand: '(disabled)' }, 'critical'],
    ['none on a standby', { archiveCommand: '', inRecovery: true }, 'ok'],
    [
      'none on a standby that archives',
      { archiveCommand: '', inRecovery: true, archiveMode: 'always' },
      'critical',
    ],
    ['another archive_command', { archiveCommand: 'cp %p /mnt/%f' }, 'warning'],
  ])('%s', (_, of, severity) => {
    const found = of === 'in recovery' ? of : { ...server, ...of }
    expect(worstOf(serverFindings('it', found, 'f'))).toBe(severity)
  })

  test('what it counts as failed is told where nobody knows better', () => {
    const failed = { ...server, failed: { walName: 'w', time: now } }
    expect(failedFinding('it', failed, archiving({}))?.severity).toBe('critical')
    expect(failedFinding('it', failed, archiving({ route: undefined }))?.severity).toBe('critical')
    expect(failedFinding('it', failed, archiving({ failure }))).toBeUndefined()
    expect(failedFinding('it', failed, archiving({ switch: 'pause' }))).toBeUndefined()
    expect(failedFinding('it', server, archiving({}))).toBeUndefined()
    expect(failedFinding('it', 'in recovery', archiving({}))).toBeUndefined()
  })
})

test.each([
  ['pgarch fetch %f %p --wait', 'try', 'warning'],
  ['pgarch fetch --wait %f %p', 'on', 'warning'],
  ['/usr/share/pgarch/pg_standby /archive %f %p %r', 'try', 'warning'],
  ['pgarch fetch %f %p --wait', 'off', undefined],
  ['pgarch fetch %f %p', 'try', undefined],
  ['pgarch fetch %f %p --waiting', 'try', undefined],
  [undefined, 'try', 'unknown'],
  ['pgarch fetch %f %p', undefined, 'unknown'],
])('restore_command %s with recovery_prefetch %s', (command, prefetch, severity) => {
  expect(prefetchFindings('it', command, prefetch)[0]?.severity).toBe(severity)
})
