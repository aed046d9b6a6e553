import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    // Real servers start and stop inside tests, on machines that are shared and slow.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: 3,
  },
})
