import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { sampleReport } from './sample.ts'

it('docs/report.md has every field of the JSON, and no other', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/report.md'), 'utf8')
  const shape = /## JSON, version 1\n.*?(\n {4}\{\n.*?\n {4}\}\n)/s.exec(text)?.[1] ?? ''
  const states = ['full', 'steady', 'fills', 'unknown']
  const reasons = ['not-in-use', 'no-capacity', 'few-days']
  const documented = [...shape.matchAll(/"([A-Za-z-]+)"/g)].map(([, name]) => name ?? '')
  const fields = new Set(documented.filter((name) => ![...states, ...reasons].includes(name)))
  expect([...fields].toSorted()).toEqual([...namesIn(json(sampleReport()))].toSorted())
  expect(documented).toEqual(expect.arrayContaining([...states, ...reasons]))
})

/** As it is read by whom it is for. */
function json(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function namesIn(value: unknown): Set<string> {
  if (typeof value !== 'object' || value === null) return new Set()
  const own = Array.isArray(value) ? [] : Object.keys(value)
  return new Set([...own, ...Object.values(value).flatMap((one) => [...namesIn(one)])])
}
