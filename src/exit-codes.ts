/**
 * How push and fetch report to the launcher: codes that no accident of Node's yields. The launcher
 * maps them, and everything else, to what PostgreSQL is told (docs/exit-codes.md).
 */
export const privateExit = { done: 40, absent: 44, failed: 45, cannotTell: 46 } as const

/** Every other command's exit status, as a person or a script sees it. */
export const adminExit = { done: 0, failed: 1, usage: 64 } as const
