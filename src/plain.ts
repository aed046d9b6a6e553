/** In one line, and nothing in it that steers a terminal: hosts send texts that a DBA then looks at. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]+/gu, ' ')
}
