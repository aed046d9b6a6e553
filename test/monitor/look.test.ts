import { describe, expect, test } from 'vitest'
import { PgarchError } from '../../src/errors.ts'
import { lookAt } from '../../src/monitor/look.ts'
import type { Checked } from '../../src/monitor/measure.ts'

const well: Checked = {
  findings: [{ severity: 'ok', about: 'one', text: 'fine' }],
  measures: [{ name: 'age', value: 1, unit: 's', about: 'one', text: 'fine' }],
}

describe('looking at parts', () => {
  test('one that fails is unknown, and hides nothing', async () => {
    const error = new PgarchError('unusable', 'no permission', { hint: 'Ask.' })
    const parts = [
      { about: 'two', look: () => Promise.reject(error) },
      { about: 'one', look: async () => well },
    ]
    expect(await lookAt(parts, 60_000)).toEqual({
      findings: [
        { severity: 'unknown', about: 'two', text: 'no permission', hint: 'Ask.' },
        ...well.findings,
      ],
      measures: well.measures,
    })
  })

  test('so is one that is not done in time', async () => {
    const parts = [
      { about: 'one', look: async () => well },
      { about: 'two', look: () => new Promise<never>(() => {}) },
    ]
    const { findings } = await lookAt(parts, 100)
    expect(findings).toEqual([
      ...well.findings,
      { severity: 'unknown', about: 'two', text: 'no answer within 0.1 s' },
    ])
  })

  test('a bug is not made a state', async () => {
    const parts = [{ about: 'one', look: () => Promise.reject(new TypeError('x is undefined')) }]
    await expect(lookAt(parts, 60_000)).rejects.toThrow('x is undefined')
  })
})
