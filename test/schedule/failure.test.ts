import { expect, test } from 'vitest'
import { PgarchError } from '../../src/errors.ts'
import { scheduleFailure } from '../../src/schedule/failure.ts'

const raised = (code: string, message: string, more: object = {}) =>
  Object.assign(new Error(message), { code, ...more })
const prefix = 'scheduling database at db:5432: '

test.each([
  [
    raised('28P01', 'password authentication failed'),
    'unusable',
    'authentication failed',
    'pgpass',
  ],
  [raised('28000', 'no pg_hba.conf entry'), 'unusable', 'no pg_hba.conf entry', 'pg_hba.conf'],
  [
    raised('3D000', 'database "x" does not exist'),
    'unusable',
    'does not exist',
    'Name the database',
  ],
  [raised('3F000', 'schema "pgarch" does not exist'), 'unusable', 'no schema', 'pgarch init'],
  [raised('42883', 'function does not exist'), 'unusable', 'function', 'pgarch init'],
  [raised('42501', 'permission denied'), 'unusable', 'permission denied', 'pgarch_agent'],
  [raised('25006', 'read-only transaction'), 'unusable', 'read-only', 'target_session_attrs'],
  [raised('57014', 'canceling statement'), 'unreachable', 'did not answer in time', undefined],
  [raised('57P03', 'the database system is starting up'), 'unreachable', 'starting up', undefined],
  [raised('53300', 'too many clients already'), 'unreachable', 'too many clients', undefined],
  [raised('22P02', 'invalid input syntax'), 'unusable', 'invalid input syntax', undefined],
  [raised('ECONNREFUSED', 'connect ECONNREFUSED'), 'unreachable', 'ECONNREFUSED', 'running'],
  [new Error('Connection terminated unexpectedly'), 'unreachable', 'terminated', 'running'],
  [
    new AggregateError([new Error('refused on ::1'), new Error('refused on 127.0.0.1')]),
    'unreachable',
    'refused on ::1; refused on 127.0.0.1',
    'running',
  ],
])('%s', (thrown, failure, message, hint) => {
  const error = scheduleFailure(thrown, 'db:5432')
  expect(error.failure).toBe(failure)
  expect(error.message).toMatch(prefix)
  expect(error.message).toContain(message)
  if (hint === undefined) expect(error.hint).toBeUndefined()
  else expect(error.hint).toContain(hint)
  expect(error.cause).toBe(thrown)
})

test('what our own functions and constraints say is passed on as it is', () => {
  const own = scheduleFailure(raised('PA002', 'cluster "x" is retired', { hint: 'So.' }), 'db:5432')
  expect(own).toMatchObject({ failure: 'refused', message: 'cluster "x" is retired', hint: 'So.' })
  const taken = raised('23505', 'duplicate key', { constraint: 'arch_path_info_name_key' })
  expect(scheduleFailure(taken, 'db:5432')).toMatchObject({
    failure: 'refused',
    message: 'another path has this name',
    hint: undefined,
  })
  const error = new PgarchError('usage', 'x')
  expect(scheduleFailure(error, 'db:5432')).toBe(error)
})
