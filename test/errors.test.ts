import { expect, it } from 'vitest'
import { describeError } from '../src/errors.ts'

it.each([
  ['lines', new Error('one\n  two\n'), 'one; two; '],
  ['a NUL, which no database takes', new Error('a\0b'), 'a b'],
  ['no message', new RangeError(''), 'RangeError'],
  ['no error at all', 'text', 'text'],
])('an error with %s is described in one line of text', (_, thrown, text) => {
  expect(describeError(thrown)).toBe(text)
})
