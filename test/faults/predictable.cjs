// Loaded into pgarch by the fault tests: the names that it makes up are known before, so that strace
// can tell the calls that are about them. PGARCH_TEST_SEED is 8 hex digits, another for each run.
const crypto = require('node:crypto')

const seed = process.env.PGARCH_TEST_SEED
const { randomBytes } = crypto
let count = 0

function next(digits) {
  count++
  return count.toString(16).padStart(digits, '0')
}

Object.defineProperty(process, 'pid', { value: seed })
crypto.randomUUID = () => `${seed}-0000-4000-8000-${next(12)}`
crypto.randomBytes = (size, ...rest) =>
  size === 8 ? Buffer.from(`${seed}${next(8)}`, 'hex') : randomBytes(size, ...rest)
