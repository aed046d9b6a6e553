declare module 'cli-progress' {
  /** What is used of it; the package has no types of its own. */
  class SingleBar {
    constructor(options: { format: string; hideCursor: boolean })
    start(total: number, value: number, payload: Readonly<Record<string, string>>): void
    increment(by: number): void
    stop(): void
  }
  const progress: { SingleBar: typeof SingleBar }
  export = progress
}
