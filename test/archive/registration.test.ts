import { describe, expect, it } from 'vitest'
import { decideRegistration, type Situation } from '../../src/archive/registration.ts'

const app = { fingerprint: '1', name: 'app' }
const copy = { fingerprint: '2', name: 'copy' }
const elsewhere = { host: 'north', dataDirectory: '/pg' }
const unknown: Situation = {
  name: undefined,
  intent: undefined,
  membership: undefined,
  sameIdentifier: [],
  predecessor: undefined,
  othersAtWork: [],
}

describe('what registering comes to', () => {
  it.each<[string, Partial<Situation>, object]>([
    ['an unknown cluster is created', { name: 'app' }, { action: 'create', name: 'app' }],
    [
      'a member is kept',
      { membership: app, sameIdentifier: [app] },
      { action: 'keep', cluster: app },
    ],
    [
      'a member that says its name is kept',
      { membership: app, name: 'app', sameIdentifier: [app] },
      { action: 'keep', cluster: app },
    ],
    [
      'another host of a cluster is enrolled',
      { intent: 'member', sameIdentifier: [app] },
      { action: 'enrol', cluster: app },
    ],
    [
      'another host of one of two is enrolled by name',
      { intent: 'member', name: 'copy', sameIdentifier: [app, copy] },
      { action: 'enrol', cluster: copy },
    ],
    [
      'a member that says so again is kept',
      { intent: 'member', membership: app, sameIdentifier: [app] },
      { action: 'keep', cluster: app },
    ],
    [
      'a copy becomes a cluster of its own',
      { intent: 'new', name: 'copy', sameIdentifier: [app] },
      { action: 'create', name: 'copy' },
    ],
    [
      'a copy restored in place, so that it found a membership, becomes a cluster of its own',
      { intent: 'new', name: 'copy', membership: app, sameIdentifier: [app] },
      { action: 'create', name: 'copy' },
    ],
    [
      'a copy that says so again is kept',
      { intent: 'new', name: 'copy', membership: copy, sameIdentifier: [app, copy] },
      { action: 'keep', cluster: copy },
    ],
    [
      'after pg_upgrade the name goes on',
      { predecessor: app },
      { action: 'succeed', name: 'app', predecessor: app },
    ],
    [
      'after pg_upgrade its own name can be given',
      { predecessor: app, name: 'app' },
      { action: 'succeed', name: 'app', predecessor: app },
    ],
    [
      'a server into which a dump was restored becomes a cluster of its own',
      { intent: 'new', name: 'other', predecessor: app, othersAtWork: [elsewhere] },
      { action: 'create', name: 'other' },
    ],
  ])('%s', (_title, situation, decision) => {
    expect(decideRegistration({ ...unknown, ...situation })).toEqual(decision)
  })

  it.each<[string, Partial<Situation>, string]>([
    ['a new cluster without a name', {}, 'needs a name'],
    ['a copy without a name', { intent: 'new', sameIdentifier: [app] }, 'needs a name'],
    ['a known identifier', { name: 'app', sameIdentifier: [app] }, 'a copy, or another host'],
    ['--member of nothing', { intent: 'member' }, 'no registered cluster'],
    [
      '--member of one of several',
      { intent: 'member', sameIdentifier: [app, copy] },
      'several clusters',
    ],
    [
      '--member of another name',
      { intent: 'member', name: 'other', sameIdentifier: [app] },
      'does not have this system identifier',
    ],
    [
      'a fingerprint that came along, under another name',
      { predecessor: app, name: 'other' },
      'carries the fingerprint of cluster "app"',
    ],
    [
      'to succeed a cluster that archives elsewhere',
      { predecessor: app, othersAtWork: [elsewhere] },
      'cluster "app" archived from "/pg" on host "north" within the last hour',
    ],
    ['a member by another name', { membership: app, name: 'copy' }, 'registered as cluster "app"'],
  ])('refused: %s', (_title, situation, message) => {
    expect(() => decideRegistration({ ...unknown, ...situation })).toThrow(message)
  })

  it('names --member before --new', () => {
    const hint = (() => {
      try {
        decideRegistration({ ...unknown, sameIdentifier: [app] })
      } catch (error) {
        return (error as { hint: string }).hint
      }
      return ''
    })()
    expect(hint.indexOf('--member')).toBeGreaterThan(0)
    expect(hint.indexOf('--new')).toBeGreaterThan(hint.indexOf('--member'))
  })
})
