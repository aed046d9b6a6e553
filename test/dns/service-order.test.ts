import { expect, test } from 'vitest'
import { serviceOrder } from '../../src/dns/service-order.ts'

/** `name:priority:weight` */
const services = (...texts: string[]) =>
  texts.map((text) => {
    const [name = '', priority, weight] = text.split(':')
    return { name, priority: Number(priority), weight: Number(weight) }
  })
const order = (lots: readonly number[], ...texts: string[]) => {
  const left = [...lots]
  return serviceOrder(services(...texts), () => left.shift() ?? 0)
    .map(({ name }) => name)
    .join('')
}

test.each([
  ['nothing', [], [], ''],
  [
    'the lowest priority is first, whatever the weights',
    [],
    ['a:20:9', 'b:10:0', 'c:30:99'],
    'bac',
  ],
  // Weights 1, 2 and 7: lots 0 to 1, 2 to 3 and 4 to 10 of 11.
  ['the lot picks by weight', [1.9 / 11], ['a:1:7', 'b:1:2', 'c:1:1'], 'cba'],
  ['and by the one behind', [2 / 11], ['a:1:7', 'b:1:2', 'c:1:1'], 'bca'],
  ['the heaviest has the rest', [4 / 11], ['a:1:7', 'b:1:2', 'c:1:1'], 'acb'],
  ['to its end', [10.9 / 11], ['a:1:7', 'b:1:2', 'c:1:1'], 'acb'],
  ['weight 0 is first by the lowest lot alone', [0], ['a:1:5', 'b:1:0'], 'ba'],
  ['and else behind', [1 / 6], ['a:1:5', 'b:1:0'], 'ab'],
  ['equals that nobody weighs keep their order', [0.99, 0.99], ['a:1:0', 'b:1:0', 'c:1:0'], 'abc'],
])('%s', (_title, lots, given, expected) => {
  expect(order(lots, ...given)).toBe(expected)
})

test('one of three times the weight is first about three times as often', () => {
  const firsts = { a: 0, b: 0 }
  for (let lot = 0; lot < 1000; lot++) {
    const [first] = serviceOrder(services('a:1:30', 'b:1:10'), () => lot / 1000)
    firsts[first?.name as 'a' | 'b']++
  }
  expect(firsts.a / firsts.b).toBeCloseTo(3, 0)
})
