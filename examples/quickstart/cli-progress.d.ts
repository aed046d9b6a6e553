/** What the quickstart uses of cli-progress, which comes without types. */
declare module 'cli-progress' {
  export interface Options {
    readonly format: string
    readonly barsize: number
    readonly barCompleteChar: string
    readonly barIncompleteChar: string
    readonly stream: NodeJS.WritableStream
    readonly clearOnComplete: boolean
    readonly noTTYOutput: boolean
    /** In milliseconds, between two lines where there is no terminal. */
    readonly notTTYSchedule: number
  }

  export class SingleBar {
    constructor(options: Partial<Options>)
    start(total: number, value: number): void
    update(value: number): void
    stop(): void
  }
}
