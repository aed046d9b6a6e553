import { plain } from '../plain.ts'
import { daysChart, fullnessChart } from './charts.ts'
import { headline } from './headline.ts'
import { styles } from './html-styles.ts'
import { html, type Markup, markup, raw } from './markup.ts'
import type { Report } from './report.ts'
import type { Section } from './section.ts'
import { sectionsOf } from './sections.ts'

/**
 * One file that needs nothing else: no script, no font, no picture; its policy lets a browser load
 * none.
 */
export function reportAsHtml(report: Report): string {
  const sections = sectionsOf(report)
  const title = headline(report)
  return markup(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>pgarch report, ${title}</title>
<style>${raw(styles)}</style>
</head>
<body>
<header>
<h1>pgarch report</h1>
<p>${title}</p>
<nav aria-label="Sections"><ul>${sections.map(
    ({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`,
  )}</ul></nav>
</header>
<main>
${sections.map((one) => sectionAsHtml(one, chartsOf(one, report)))}
</main>
</body>
</html>
`)
}

function chartsOf({ id }: Section, report: Report): Markup[] {
  if (id === 'days') {
    return [daysChart(report.days, 'storedBytes'), daysChart(report.days, 'failures')]
  }
  return id === 'paths' ? [fullnessChart(report.paths)] : []
}

function sectionAsHtml(section: Section, charts: readonly Markup[]): Markup {
  const { id, title, rows, none, notes } = section
  return html`<section id="${id}">
<h2 id="${id}-title">${title}</h2>
${charts}
${rows.length === 0 ? html`<p>${none}</p>` : tableOf(section)}
${notes.map((note) => html`<p class="note">${plain(note)}</p>`)}
</section>
`
}

/** What is at most so long is not broken. */
const shortText = 25

/** Wider than a narrow screen it is scrolled by itself, with the keyboard, too. */
function tableOf({ id, columns, rows }: Section): Markup {
  const head = columns.map(
    ({ title, align }) => html`<th scope="col"${classOf(align)}>${title}</th>`,
  )
  const body = rows.map((row) => {
    const cells = row.map((text, index) => {
      const kind = classOf(columns[index]?.align, plain(text).length <= shortText)
      return index === 0
        ? html`<th scope="row"${kind}>${plain(text)}</th>`
        : html`<td${kind}>${plain(text)}</td>`
    })
    return html`<tr>${cells}</tr>
`
  })
  return html`<div class="table" role="region" aria-labelledby="${id}-title" tabindex="0"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody>
</table></div>`
}

function classOf(align: 'right' | undefined, isShort = true): Markup {
  const names = [...(align === 'right' ? ['number'] : []), ...(isShort ? ['short'] : [])]
  return names.length === 0 ? html`` : html` class="${names.join(' ')}"`
}
