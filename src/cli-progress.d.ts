/** What is used of cli-progress, which comes without types. */
declare module 'cli-progress' {
  interface Options {
    readonly format: string
    readonly hideCursor: boolean
    readonly barsize: number
    readonly barCompleteChar: string
    readonly barIncompleteChar: string
    readonly stream: NodeJS.WritableStream
    readonly clearOnComplete: boolean
    readonly noTTYOutput: boolean
    /** In milliseconds, between two lines where there is no terminal. */
    readonly notTTYSchedule: number
  }

  class SingleBar {
    constructor(options: Partial<Options>)
    start(total: number, value: number, payload?: Readonly<Record<string, string>>): void
    update(value: number): void
    increment(by: number): void
    stop(): void
  }

  export { SingleBar }
}
