import { expect, test } from 'vitest'
import { PgarchError } from '../../src/errors.ts'
import { proofFinding } from '../../src/monitor/proof-finding.ts'

const doubts = [
  new PgarchError('unreachable', 'no answer', { hint: 'Mend it.' }),
  new PgarchError('damaged', 'no trailer'),
]

test.each<[Parameters<typeof proofFinding>[1], string | undefined, string, string]>([
  [
    { outcome: 'on a path', sha256: 'a' },
    'a',
    'ok',
    'w was fetched 1.2 s after its end, and is what the server wrote',
  ],
  [
    { outcome: 'on a path', sha256: 'a' },
    undefined,
    'ok',
    'w was fetched 1.2 s after its end, and verifies',
  ],
  [
    { outcome: 'on a path', sha256: 'a' },
    'b',
    'critical',
    'what was fetched as w is not what the server wrote',
  ],
  [
    { outcome: 'in the local archive', sha256: 'a' },
    'a',
    'warning',
    'w is in the local archive alone 1.2 s after its end',
  ],
  [
    { outcome: 'in the local archive', sha256: 'a' },
    'b',
    'critical',
    'what was fetched as w is not what the server wrote',
  ],
  [
    { outcome: 'not to be had', doubts },
    'a',
    'critical',
    'w cannot be fetched 1.2 s after its end: no answer; no trailer',
  ],
  [
    { outcome: 'not to be had', doubts: [] },
    'a',
    'critical',
    'w cannot be fetched 1.2 s after its end: no path has it',
  ],
])('%j, of %s', (proof, written, severity, text) => {
  expect(proofFinding('w', proof, written, 1.23)).toMatchObject({ severity, text })
})

test('the first doubt tells what to do', () => {
  const proof = { outcome: 'not to be had', doubts } as const
  expect(proofFinding('w', proof, undefined, 1).hint).toBe('Mend it.')
})
