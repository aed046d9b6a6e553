/** Runs a bench by its name: `npm run bench start`. bench/README.md says what is measured, and how. */
const benches: Readonly<Record<string, () => Promise<{ run(): Promise<void> }>>> = {
  start: () => import('./start.ts'),
}

const load = benches[process.argv[2] ?? '']
if (load === undefined) {
  console.error(`usage: npm run bench ${Object.keys(benches).join('|')}`)
  process.exitCode = 64
} else {
  const { run } = await load()
  await run()
}
