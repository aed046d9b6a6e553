/**
 * How push and fetch report to the launcher: codes that no accident of Node's yields. The launcher
 * maps them, and everything else, to what PostgreSQL is told (docs/exit-codes.md).
 */
export const privateExit = { done: 40, absent: 44, failed: 45, cannotTell: 46 } as const

/** The same for check: the launcher takes 50 away, and makes unknown, 3, of everything else. */
export const checkExit = { ok: 50, warning: 51, critical: 52, unknown: 53 } as const

/** Every other command's exit status, as a person or a script sees it. */
export const adminExit = { done: 0, failed: 1, usage: 64 } as const

export interface Exits {
  /** Without a status of its own. */
  readonly done: number
  /** Nothing was done: a help or a version was shown. */
  readonly idle: number
  readonly failed: number
  readonly usage: number
}

export function exitsOf(command: string | undefined): Exits {
  const { done, failed, usage } = adminExit
  switch (command) {
    case 'push':
    case 'fetch': {
      // PostgreSQL is told that it is done only by what did it.
      const { failed, done } = privateExit
      return { done, idle: failed, failed, usage: failed }
    }
    case 'check': {
      // The Monitoring Plugins guidelines want it for a help too.
      const { unknown } = checkExit
      return { done: unknown, idle: unknown, failed: unknown, usage: unknown }
    }
    case 'worker':
      // An orphan's end by more than 1 is a crash to a server that adopts it.
      return { done, idle: done, failed, usage: failed }
    default:
      return { done, idle: done, failed, usage }
  }
}
