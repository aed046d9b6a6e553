import { describe, expect, test } from 'vitest'
import type { Finding, Severity } from '../../src/monitor/finding.ts'
import { type Checked, judge, type Measure, parseThresholds } from '../../src/monitor/measure.ts'
import { pluginResult } from '../../src/monitor/plugin.ts'
import { parseRange } from '../../src/monitor/range.ts'

const names = ['ready_age', 'ready_files']

function measure(of: Partial<Measure> = {}): Measure {
  const text = 'the oldest waits for 7 s'
  return { name: 'ready_age', value: 7, unit: 's', about: '"app"', text, min: 0, ...of }
}

function finding(severity: Severity, text: string, more: Partial<Finding> = {}): Finding {
  return { severity, about: '"app"', text, ...more }
}

function lines(checked: Partial<Checked>, given: { w?: string[]; c?: string[]; v?: boolean } = {}) {
  const thresholds = {
    warning: parseThresholds('--warning', given.w ?? [], names),
    critical: parseThresholds('--critical', given.c ?? [], names),
  }
  const whole = { findings: [], measures: [], ...checked }
  return pluginResult(whole, thresholds, { verbose: given.v === true }).lines
}

describe('thresholds', () => {
  test.each<[string[], Record<string, string>]>([
    [['10'], { ready_age: '10' }],
    [['ready_files=5:', '~:3'], { ready_files: '5:', ready_age: '~:3' }],
    [['1', '2', 'ready_age=3'], { ready_age: '3' }],
  ])('%j', (given, expected) => {
    const ranges = Object.entries(expected).map(([name, text]) => [name, parseRange(text)] as const)
    expect(parseThresholds('-w', given, names)).toEqual(new Map(ranges))
  })

  test.each([
    ['age=5', /--warning "age=5": this check has no measure "age"/],
    ['=5', /no measure ""/],
    ['ready_age=', /invalid value for --warning: "" is not a range/],
    ['5s', /invalid value for --warning: "5s" is not a range/],
  ])('%s is wrong usage', (given, message) => {
    expect(() => parseThresholds('--warning', [given], names)).toThrow(
      expect.objectContaining({ failure: 'usage', message: expect.stringMatching(message) }),
    )
  })

  test.each<[string, number, Severity]>([
    ['within both', 5, 'ok'],
    ['at the first end', 10, 'ok'],
    ['beyond the first', 11, 'warning'],
    ['at the second end', 20, 'warning'],
    ['beyond the second', 21, 'critical'],
    ['below both', -1, 'critical'],
    ['not a number', Number.NaN, 'unknown'],
  ])('a value %s', (_, value, severity) => {
    const [warning, critical] = [parseRange('10'), parseRange('20')]
    expect(judge(measure({ value, warning, critical })).severity).toBe(severity)
  })

  test('without a range a value is well; what was not read never is', () => {
    expect(judge(measure({ value: 1e9 })).severity).toBe('ok')
    expect(judge(measure({ value: Number.NaN })).severity).toBe('unknown')
  })
})

describe('what a plugin says', () => {
  test('all is well: the first that is told, and the data', () => {
    const findings = [finding('ok', 'nothing waits', { hint: 'Not told.' })]
    expect(lines({ findings, measures: [measure()] })).toEqual([
      'PGARCH OK: "app": nothing waits | ready_age=7s;;;0',
    ])
  })

  test('what is wrong, worst first, with hints below; unknown is worse than a warning', () => {
    const findings = [
      finding('ok', 'fine'),
      finding('warning', 'so so', { hint: 'Look.' }),
      finding('unknown', 'not to be told'),
      finding('critical', 'bad', { about: '' }),
    ]
    expect(lines({ findings })).toEqual([
      'PGARCH CRITICAL: bad -- "app": not to be told -- "app": so so',
      'CRITICAL: bad',
      'UNKNOWN: "app": not to be told',
      'WARNING: "app": so so',
      'HINT: Look.',
    ])
    expect(lines({ findings: findings.slice(0, 3) })[0]).toMatch(/^PGARCH UNKNOWN: /)
    expect(lines({ findings }, { v: true }).at(-1)).toBe('OK: "app": fine')
  })

  test('a default range, and one that takes its place', () => {
    const measures = [measure({ warning: parseRange('5'), critical: parseRange('60') })]
    expect(lines({ measures })).toEqual([
      'PGARCH WARNING: "app": the oldest waits for 7 s | ready_age=7s;5;60;0',
      'WARNING: "app": the oldest waits for 7 s',
    ])
    expect(lines({ measures }, { w: ['10'], c: ['ready_age=@3:4'] })).toEqual([
      'PGARCH OK: "app": the oldest waits for 7 s | ready_age=7s;10;@3:4;0',
    ])
    expect(lines({ measures }, { c: ['6'] })[0]).toMatch(/^PGARCH CRITICAL: .*=7s;5;6;0$/)
  })

  test('what a finding and a measure say alike is told once, as the worse of them', () => {
    const findings = [finding('warning', 'the oldest waits for 7 s', { hint: 'Look.' })]
    const measures = [measure({ critical: parseRange('5'), hint: 'Look at once.' })]
    expect(lines({ findings, measures })).toEqual([
      'PGARCH CRITICAL: "app": the oldest waits for 7 s | ready_age=7s;;5;0',
      'CRITICAL: "app": the oldest waits for 7 s',
      'HINT: Look at once.',
    ])
  })

  test('nothing was looked at', () => {
    expect(lines({})).toEqual(['PGARCH UNKNOWN: nothing was looked at'])
  })

  test('a value that could not be read is U', () => {
    expect(lines({ measures: [measure({ value: Number.NaN, text: 'no answer' })] })[0]).toBe(
      'PGARCH UNKNOWN: "app": no answer | ready_age=U;;;0',
    )
  })

  test('what has a range, and was not read at all, is unknown', () => {
    const told = '"ready_files", which has a range, could not be read'
    for (const given of [{ w: ['ready_files=5'] }, { c: ['ready_files=5'] }]) {
      const [first] = lines(
        { findings: [finding('warning', 'so so')], measures: [measure()] },
        given,
      )
      expect(first).toMatch(
        new RegExp(`^PGARCH UNKNOWN: ${told} -- "app": so so \\| ready_age=7s;;;0 ready_files=U;`),
      )
    }
    const bad = [finding('critical', 'bad')]
    expect(lines({ findings: bad }, { w: ['5'] })[0]).toMatch(/^PGARCH CRITICAL: "app": bad -- /)
    expect(lines({ measures: [measure({ of: 'app' })] }, { w: ['5'] })[0]).not.toMatch(/=U/)
  })

  test.each<[Partial<Measure>, string]>([
    [{ of: 'app' }, 'app.ready_age=7s;;;0'],
    [{ of: "O'Reilly = app 1|2" }, "'O_Reilly _ app 1/2.ready_age'=7s;;;0"],
    [{ value: 1 / 3, unit: '%', max: 100 }, 'ready_age=0.333%;;;0;100'],
    [{ value: 1e13, unit: 'B' }, 'ready_age=10000000000000B;;;0'],
    [{ value: 100, unit: 'c' }, 'ready_age=100c;;;0'],
    [{ value: 0.0000001, unit: '' }, 'ready_age=0;;;0'],
  ])('%j', (of, datum) => {
    expect(lines({ measures: [measure(of)] })[0]?.split(' | ')[1]).toBe(datum)
  })

  test('nothing that was sent by others begins a line, or performance data', () => {
    const findings = [finding('warning', 'a\nOK: b | x=1', { hint: 'c\n| y=2' })]
    expect(lines({ findings })).toEqual([
      'PGARCH WARNING: "app": a OK: b / x=1',
      'WARNING: "app": a OK: b / x=1',
      'HINT: c / y=2',
    ])
  })

  test('what is long is cut off, and hides nothing that follows', () => {
    const findings = [
      finding('critical', `${'x'.repeat(492)}\u{1f4a5}${'y'.repeat(100_000)}`, {
        hint: 'z'.repeat(501),
      }),
      finding('warning', 'so so'),
    ]
    const first = `"app": ${'x'.repeat(492)}..`
    expect(lines({ findings })).toEqual([
      `PGARCH CRITICAL: ${first} -- "app": so so`,
      `CRITICAL: ${first}`,
      `HINT: ${'z'.repeat(500)}..`,
      'WARNING: "app": so so',
    ])
  })

  test('of ten thousand clusters the worst are told', () => {
    const bad = Array.from({ length: 10_000 }, (_, n) => finding('critical', `bad ${n}`))
    const told = lines({ findings: [finding('warning', 'so so'), ...bad] })
    expect(told[0]).toBe(
      'PGARCH CRITICAL: "app": bad 0 -- "app": bad 1 -- "app": bad 2 -- 9998 more',
    )
    expect(told).toHaveLength(42)
    expect(told.at(-1)).toBe('9961 more')
  })
})
