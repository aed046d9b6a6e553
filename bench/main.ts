/** Runs a bench by its name: `npm run bench push`. bench/README.md says what is measured, and how. */
const benches: Readonly<Record<string, () => Promise<{ run(words: string[]): Promise<void> }>>> = {
  fetch: () => import('./fetch.ts'),
  fleet: () => import('./fleet.ts'),
  push: () => import('./push.ts'),
  start: () => import('./start.ts'),
  wait: () => import('./wait.ts'),
}

const [name = '', ...words] = process.argv.slice(2)
const load = benches[name]
if (load === undefined) {
  console.error(`usage: npm run bench ${Object.keys(benches).join('|')} [-- OPTIONS]`)
  process.exitCode = 64
} else {
  // Servers are ended by whoever started them, as their process ends.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  const { run } = await load()
  await run(words)
}
