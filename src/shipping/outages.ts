import { log } from '../log.ts'

/** One message when something begins to fail, and one when it works again, however often it is tried. */
export interface Outages {
  begin(what: string, message: string, hint?: string): void
  /** Says so only if it was one. */
  end(what: string, message: string): void
}

export function openOutages(): Outages {
  const known = new Set<string>()
  return {
    begin(what, message, hint) {
      if (known.has(what)) return
      known.add(what)
      log.warning(message, hint)
    },
    end(what, message) {
      if (known.delete(what)) log.info(message)
    },
  }
}
