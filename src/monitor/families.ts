import type { Family, Sample } from './exposition.ts'

/** A family with a sample for every row. */
export interface FamilyOf<Row> extends Omit<Family, 'samples'> {
  readonly value: (row: Row) => Sample['value']
}

/** What is true of each row, as families. */
export function familiesOf<Row>(
  families: readonly FamilyOf<Row>[],
  rows: readonly Row[],
  labels: (row: Row) => Readonly<Record<string, string>> = () => ({}),
): Family[] {
  return families.map(({ value, ...family }) => ({
    ...family,
    samples: rows.map((row) => ({ labels: labels(row), value: value(row) })),
  }))
}

export function gauge<Row>(
  name: string,
  help: string,
  value: FamilyOf<Row>['value'],
): FamilyOf<Row> {
  return { name, type: 'gauge', help, value }
}

export function counter<Row>(
  name: string,
  help: string,
  value: FamilyOf<Row>['value'],
): FamilyOf<Row> {
  return { name, type: 'counter', help, value }
}
