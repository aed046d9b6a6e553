/**
 * A position in the WAL, in bytes from its very beginning, as PostgreSQL prints it: the two halves of
 * an unsigned 64-bit number in hex, `16/B374D848`. Undefined for anything else (pg_lsn.c, pg_lsn_in).
 */
export function parseLsn(text: string): bigint | undefined {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text)
  if (match === null) return undefined
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

export function formatLsn(lsn: bigint): string {
  const hex = (half: bigint) => half.toString(16).toUpperCase()
  return `${hex(lsn >> 32n)}/${hex(lsn & 0xffff_ffffn)}`
}
