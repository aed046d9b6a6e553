import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { ifNobodyDrains, withDrainLock } from '../../src/archive/drain-lock.ts'

const state = `/var/lib/pgarch/${process.pid}/@pgarch`

it('who wants to drain waits for who does; who would only help passes', async () => {
  const order: string[] = []
  const first = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const draining = withDrainLock(state, async () => {
    begun.resolve()
    await first.promise
    order.push('first')
  })
  await begun.promise
  const waiting = ['second', 'third'].map((name) =>
    withDrainLock(state, async () => void order.push(name)),
  )
  await ifNobodyDrains(state, async () => void order.push('helper'))
  await withDrainLock(`${state}2`, async () => void order.push('another archive'))
  first.resolve()
  await Promise.all([draining, ...waiting])
  expect(order.slice(0, 2)).toEqual(['another archive', 'first'])
  expect(order.slice(2).sort()).toEqual(['second', 'third'])
  await ifNobodyDrains(state, async () => void order.push('helper'))
  expect(order).toContain('helper')
})

it('it is free again when a process that drains fails, or is killed', async () => {
  const failing = withDrainLock(state, () => Promise.reject(new Error('it fails')))
  await expect(failing).rejects.toThrow('it fails')
  const script = `import { withDrainLock } from '${import.meta.dirname}/../../src/archive/drain-lock.ts'
    withDrainLock(process.argv[1], () => new Promise(() => console.log('mine')))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, state], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  let mine = false
  const waiting = withDrainLock(state, async () => {
    mine = true
  })
  await ifNobodyDrains(state, async () => expect.fail('it is taken'))
  expect(mine).toBe(false)
  child.kill('SIGKILL')
  await waiting
  expect(mine).toBe(true)
})
