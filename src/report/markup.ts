/** HTML or SVG that is safe to stand where it is put. */
export interface Markup {
  readonly markup: string
}

type Value = string | number | Markup | readonly Markup[]

/** Every value that is not markup by itself is escaped, for texts and for attributes in double quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  const texts = parts.map((part, index) => (index === 0 ? '' : inserted(values[index - 1])) + part)
  return { markup: texts.join('') }
}

/** Of this program's own, never of what was read. */
export function raw(text: string): Markup {
  return { markup: text }
}

export function markup(value: Markup): string {
  return value.markup
}

function inserted(value: Value | undefined): string {
  if (typeof value !== 'object') return escapeText(String(value ?? ''))
  return Array.isArray(value) ? value.map(markup).join('') : (value as Markup).markup
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
}
