import { PgarchError } from '../errors.ts'
import {
  type DumpedCluster,
  type DumpedMember,
  type DumpedPath,
  dumpFormat,
  type ScheduleDump,
} from './dump.ts'

/**
 * Reads what `schedule dump` wrote. Rejects with `refused` unless every field is there and of its kind,
 * no other is, and what refers to something refers to something in the dump.
 *
 * @param file names it in messages
 */
export function parseDump(text: string, file: string): ScheduleDump {
  const wrong = (what: string) => new PgarchError('refused', `"${file}" is no usable dump: ${what}`)
  const dump = parse(text)
  if (dump?.format !== dumpFormat.format) {
    throw wrong('it is not what "pgarch schedule dump" writes')
  }
  if (dump.version !== dumpFormat.version) {
    throw wrong(`it has version ${dump.version}, this pgarch reads ${dumpFormat.version}`)
  }
  const problem = firstProblem(dump, dumpRules, 'it') ?? firstDangling(dump as never)
  if (problem !== undefined) throw wrong(problem)
  return dump as unknown as ScheduleDump
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

type Rule = (value: unknown) => boolean
type Rules<Of> = Readonly<Record<keyof Of, Rule | readonly [Rules<never>]>>

const isText: Rule = (value) => typeof value === 'string'
const isNumber: Rule = (value) => Number.isSafeInteger(value)
const isTruth: Rule = (value) => typeof value === 'boolean'
const isTime: Rule = (value) => matches(/^\d{4,}-\d\d-\d\dT[\d:.]+Z$/)(value)
const isUuid: Rule = (value) => matches(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)(value)

function matches(pattern: RegExp): Rule {
  return (value) => typeof value === 'string' && pattern.test(value)
}

function orNull(rule: Rule): Rule {
  return (value) => value === null || rule(value)
}

const pathRules: Rules<DumpedPath> = {
  id: isNumber,
  uuid: isUuid,
  name: isText,
  kind: matches(/^(sftp|local)$/),
  sshHost: orNull(isText),
  sshIp: orNull(isText),
  sshPort: orNull(isNumber),
  sshUser: orNull(isText),
  hostKey: orNull(isText),
  rootPath: matches(/^\//),
  capacityBytes: orNull(isNumber),
  reserveBytes: isNumber,
  active: isTruth,
  lostTime: orNull(isTime),
  lostBy: orNull(isText),
  lostReason: orNull(isText),
  createTime: isTime,
}

const memberRules: Rules<DumpedMember> = {
  memberId: isUuid,
  host: isText,
  dataDirectory: isText,
  credentialSha256: matches(/^[0-9a-f]{64}$/),
  enrolled: isTime,
}

const routeRules: Rules<DumpedCluster['route'][number]> = {
  path: isNumber,
  priority: isNumber,
  active: isTruth,
}

const clusterRules: Rules<DumpedCluster> = {
  fingerprint: isUuid,
  name: isText,
  active: isTruth,
  systemIdentifier: matches(/^\d{1,20}$/),
  walSegmentSize: isNumber,
  idc: orNull(isText),
  platform: orNull(isText),
  software: isText,
  version: orNull(isText),
  host: orNull(isText),
  vip: orNull(isText),
  port: orNull(isNumber),
  switch: matches(/^(start|pause|stop)$/),
  switchReason: orNull(isText),
  switchAuthor: orNull(isText),
  switchTime: orNull(isTime),
  previousFingerprint: orNull(isUuid),
  createTime: isTime,
  route: [routeRules],
  members: [memberRules],
}

const dumpRules: Rules<ScheduleDump> = {
  format: isText,
  version: isNumber,
  paths: [pathRules],
  clusters: [clusterRules],
}

/** `where` is how a message calls the value. */
function firstProblem(value: unknown, rules: Rules<never>, where: string): string | undefined {
  if (typeof value !== 'object' || value === null) return `${where} is not an object`
  const fields = value as Record<string, unknown>
  for (const name of Object.keys(fields)) {
    if (!Object.hasOwn(rules, name)) return `${where} has a field "${name}" that is not known`
  }
  for (const [name, rule] of Object.entries<Rule | readonly [Rules<never>]>(rules)) {
    const field = fields[name]
    if (typeof rule === 'function') {
      if (!rule(field)) return `"${name}" of ${where} is not valid`
    } else {
      if (!Array.isArray(field)) return `"${name}" of ${where} is not a list`
      for (const [index, item] of field.entries()) {
        const problem = firstProblem(item, rule[0], `${name}[${index}]`)
        if (problem !== undefined) return problem
      }
    }
  }
  return undefined
}

function firstDangling({ paths, clusters }: ScheduleDump): string | undefined {
  const [ids, fingerprints] = [new Set<number>(), new Set<string>()]
  for (const { id } of paths) {
    if (ids.has(id)) return `path ${id} is there twice`
    ids.add(id)
  }
  for (const { fingerprint } of clusters) {
    if (fingerprints.has(fingerprint)) return `cluster ${fingerprint} is there twice`
    fingerprints.add(fingerprint)
  }
  for (const { name, previousFingerprint: previous, route } of clusters) {
    const missing = route.find(({ path }) => !ids.has(path))
    if (missing !== undefined) {
      return `cluster "${name}" has path ${missing.path} in its route, which is missing`
    }
    if (previous !== null && !fingerprints.has(previous)) {
      return `cluster "${name}" succeeds cluster ${previous}, which is missing`
    }
  }
  return undefined
}
