import { exposition, type Family } from '../../src/monitor/exposition.ts'

/** The samples of families as Prometheus is told them: values by name and labels. */
export function samplesOf(families: readonly Family[]): Record<string, number> {
  return parseSamples(exposition(families))
}

export function parseSamples(text: string): Record<string, number> {
  const samples = text.split('\n').flatMap((line) => {
    const [, series = '', value] = /^([^#].*) (\S+)$/.exec(line) ?? []
    return value === undefined ? [] : [[series, Number(value)] as const]
  })
  return Object.fromEntries(samples)
}

/** Names of families. */
export function familiesIn(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name)
}

/** The names of the labels that a family's samples have. */
export function labelsIn(text: string): Map<string, Set<string>> {
  const labels = new Map<string, Set<string>>()
  for (const [, name = '', pairs = ''] of text.matchAll(/^(pgarch_\w+)\{(.*)\} \S+$/gm)) {
    const known = labels.get(name) ?? new Set()
    for (const [, label = ''] of pairs.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) known.add(label)
    labels.set(name, known)
  }
  return labels
}
