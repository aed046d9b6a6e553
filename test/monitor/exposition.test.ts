import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { exposition, type Sample } from '../../src/monitor/exposition.ts'
import { findProgram } from '../support/parts.ts'

const family = (samples: Sample[], help = 'Things.') =>
  exposition([{ name: 'pgarch_things', type: 'gauge', help, samples }])

test('a family is its help, its type, and a line for each sample', () => {
  expect(
    exposition([
      { name: 'pgarch_a_bytes', type: 'gauge', help: 'Some.', samples: [{ value: 5 }] },
      {
        name: 'pgarch_b_total',
        type: 'counter',
        help: 'Others.',
        samples: [
          { labels: { path: 'berlin', cluster: 'app' }, value: 1 },
          { labels: { path: 'madrid', cluster: 'app' }, value: 0 },
        ],
      },
    ]),
  ).toBe(
    `# HELP pgarch_a_bytes Some.
# TYPE pgarch_a_bytes gauge
pgarch_a_bytes 5
# HELP pgarch_b_total Others.
# TYPE pgarch_b_total counter
pgarch_b_total{path="berlin",cluster="app"} 1
pgarch_b_total{path="madrid",cluster="app"} 0
`,
  )
})

test.for([
  [5_000_000_000_000, '5000000000000'],
  [0.25, '0.25'],
  [1e21, '1e+21'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NEGATIVE_INFINITY, '-Inf'],
  [Number.NaN, 'NaN'],
  [true, '1'],
  [false, '0'],
  [new Date('2026-11-21T14:30:00.250Z'), '1795271400.25'],
] as const)('the value %s is written as %s', ([value, text]) => {
  expect(family([{ value }]).split('\n')[2]).toBe(`pgarch_things ${text}`)
})

test('what nobody knows has no sample, and a family without one is not there', () => {
  expect(family([{ value: null }])).toBe('')
  expect(family([{ labels: { path: 'a' }, value: null }, { value: 1 }])).not.toContain('path')
})

test('labels and help hold any text', () => {
  const text = family([{ labels: { directory: 'a "b" \\n\nc' }, value: 1 }], 'A \\ and\nmore.')
  expect(text).toContain('# HELP pgarch_things A \\\\ and\\nmore.\n')
  expect(text).toContain('pgarch_things{directory="a \\"b\\" \\\\n\\nc"} 1\n')
})

test.skipIf(!findProgram('promtool'))('Prometheus reads all of it', () => {
  const text = family(
    [
      { labels: { directory: '/a "b" \\n\nc \u{1f418}' }, value: 1 },
      { labels: { directory: '/b' }, value: Number.POSITIVE_INFINITY },
      { labels: { directory: '/c' }, value: 1e300 },
    ],
    'A \\ and\nmore.',
  )
  expect(execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })).toBe('')
})
