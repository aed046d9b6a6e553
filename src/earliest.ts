/** Of as many times as there are, which the arguments of a call cannot be; undefined: there are none. */
export function earliest(times: readonly Date[]): Date | undefined {
  return times.reduce<Date | undefined>(
    (first, time) => (first === undefined || time < first ? time : first),
    undefined,
  )
}
