import { expect, test } from 'vitest'
import { passwordFromFile } from '../../src/schedule/password.ts'

const wanted = { host: 'db', port: 5432, database: 'pgarch', user: 'pgarch_agent' }

test.each([
  ['an exact line', 'db:5432:pgarch:pgarch_agent:secret', 'secret'],
  ['stars', '*:*:*:*:secret', 'secret'],
  ['the first line that fits', 'db:1:*:*:a\n# db:*:*:*:b\n*:*:*:pgarch_agent:c\n*:*:*:*:d', 'c'],
  ['no line that fits', 'db2:5432:pgarch:pgarch_agent:secret', undefined],
  ['another user', '*:*:*:postgres:secret', undefined],
  ['a colon in the password, escaped or not', String.raw`*:*:*:*:a\:b:c`, 'a:b:c'],
  ['a backslash in the password', String.raw`*:*:*:*:a\\b`, String.raw`a\b`],
  ['lines of Windows', '*:*:*:*:secret\r\n', 'secret'],
  ['lines that are no entries', 'db:5432\n\n::::\n*:*:*:*:', undefined],
])('%s', (_title, text, password) => {
  expect(passwordFromFile(text, wanted)).toBe(password)
})

test('an address of IPv6 and a colon in a name are escaped', () => {
  const odd = { ...wanted, host: '::1', database: 'a:b' }
  expect(passwordFromFile(String.raw`\:\:1:5432:a\:b:*:secret`, odd)).toBe('secret')
})
