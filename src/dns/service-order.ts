import type { Service } from './ask.ts'

/**
 * The order in which RFC 2782 has a client try services: the lowest priority first; among equals drawn
 * by lot, one of twice the weight twice as often, and one of weight 0 hardly ever before another.
 *
 * @param random from 0 to below 1, as Math.random
 */
export function serviceOrder<One extends Pick<Service, 'priority' | 'weight'>>(
  services: readonly One[],
  random: () => number = Math.random,
): One[] {
  const priorities = [...new Set(services.map(({ priority }) => priority))].sort((a, b) => a - b)
  return priorities.flatMap((priority) =>
    draw(
      services.filter((one) => one.priority === priority),
      random,
    ),
  )
}

function draw<One extends Pick<Service, 'weight'>>(
  equals: readonly One[],
  random: () => number,
): One[] {
  const left = equals.toSorted((one, other) => one.weight - other.weight)
  const drawn: One[] = []
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0)
    // A whole number from 0 to the total, both included: so the RFC has it.
    const lot = Math.floor(random() * (total + 1))
    let sum = 0
    const index = left.findIndex(({ weight }) => {
      sum += weight
      return sum >= lot
    })
    drawn.push(...left.splice(index, 1))
  }
  return drawn
}
