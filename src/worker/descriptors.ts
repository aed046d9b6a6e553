import { closeSync, readdirSync, readFileSync } from 'node:fs'

/** O_CLOEXEC as /proc/PID/fdinfo shows it, in octal (proc(5)). */
const closeOnExec = 0o2000000

/**
 * Closes every descriptor that was inherited, but for the standard ones: one of a server's log or
 * lock, kept open, would outlive the server. Node.js opens its own with O_CLOEXEC, and what is there
 * without it came through the exec.
 */
export function closeInherited(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const descriptor = Number(name)
    if (descriptor > 2 && isInherited(name)) closeSync(descriptor)
  }
}

function isInherited(name: string): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'utf8'))
    return flags !== null && (Number.parseInt(flags[1] ?? '', 8) & closeOnExec) === 0
  } catch {
    return false // the one that listed the directory
  }
}
