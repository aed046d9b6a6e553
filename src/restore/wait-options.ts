/** What `fetch --wait` was told; times in milliseconds. */
export interface WaitOptions {
  /** Absolute. */
  readonly triggerFile: string | undefined
  /** Between two rounds of asking, when nothing tells that something has changed. */
  readonly sleep: number
  /** 0: for ever. */
  readonly maxWait: number
  /** How long ago a segment must have been archived to be given; 0: no matter. */
  readonly restoreDelay: number
  /** bin/pgarch was sent SIGUSR1 or SIGINT: it stopped a call that waited, and asks once more. */
  readonly isFast: boolean
  /** Whether it is told what is waited for. */
  readonly debug: boolean
}
