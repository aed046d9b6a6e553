import { expect, it } from 'vitest'
import { batching } from '../src/batch.ts'

/** Calls that are answered by hand, in turn. */
function calls() {
  const seen: (readonly number[])[] = []
  const answers: PromiseWithResolvers<string[]>[] = []
  const call = batching<number, string>((items) => {
    seen.push([...items])
    const answer = Promise.withResolvers<string[]>()
    answers.push(answer)
    return answer.promise
  }, 3)
  return { seen, answers, call }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

it('what is asked for during a call goes into the next one, at most so many', async () => {
  const { seen, answers, call } = calls()
  const results = [1, 2, 3, 4, 5].map((item) => call(item))
  await turn()
  expect(seen).toEqual([[1]])
  answers[0]?.resolve(['a'])
  await turn()
  expect(seen).toEqual([[1], [2, 3, 4]])
  answers[1]?.resolve(['b', 'c', 'd'])
  await turn()
  answers[2]?.resolve(['e'])
  expect(await Promise.all(results)).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(seen).toEqual([[1], [2, 3, 4], [5]])
})

it('a call that fails fails all of its items, and no other', async () => {
  const { answers, call } = calls()
  const first = call(1)
  const second = call(2)
  const third = call(3)
  answers[0]?.resolve(['a'])
  await turn()
  answers[1]?.reject(new Error('cut'))
  await expect(first).resolves.toBe('a')
  await expect(second).rejects.toThrow('cut')
  await expect(third).rejects.toThrow('cut')
  const fourth = call(4)
  await turn()
  answers[2]?.resolve(['d'])
  await expect(fourth).resolves.toBe('d')
})
