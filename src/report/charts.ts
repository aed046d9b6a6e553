import { prettySize } from '../amounts.ts'
import { plain } from '../plain.ts'
import type { DayVolume } from '../schedule/report.ts'
import { html, type Markup } from './markup.ts'
import type { PathReport } from './report.ts'
import { outlookInWords } from './sections.ts'
import { topOf } from './tick.ts'

/** Of the bars at their highest, in CSS pixels. Across, all is in percent: a chart is as wide as the page. */
const plotHeight = 160
const plotTop = 12

/** So many days have their dates below them. */
const mostDates = 8

const measures = {
  storedBytes: {
    id: 'stored-chart',
    title: 'Stored per day',
    unit: 'bytes',
    words: prettySize,
  },
  failures: {
    id: 'failures-chart',
    title: 'Failed tries per day',
    unit: 'count',
    words: (count: number) => `${count} failed`,
  },
} as const

/** A column for each day; the last day is not over, and paler. */
export function daysChart(days: readonly DayVolume[], measure: keyof typeof measures): Markup {
  const { id, title, unit, words } = measures[measure]
  const values = days.map((day) => day[measure])
  const most = Math.max(...values, 0)
  const { top, label } = topOf(most, unit)
  const column = 100 / days.length
  const every = Math.ceil(days.length / mostDates)
  const highest = days[values.indexOf(most)]?.day
  const gist =
    most === 0
      ? 'Nothing in the period.'
      : `${days.length} days, at most ${words(most)}, on ${highest}. The table below has the figures.`
  return html`<figure>
<figcaption id="${id}-title">${title} <small>(the last day is not over)</small></figcaption>
<svg class="days ${measure}" role="img" aria-labelledby="${id}-title ${id}-gist" width="100%" height="${plotTop + plotHeight + 24}">
<desc id="${id}-gist">${gist}</desc>
${[0, 0.5, 1].map((share) => gridLine(share, label(share)))}
${days.map((day, index) => {
  const height = (day[measure] / top) * plotHeight
  const open = index === days.length - 1 ? ' open' : ''
  return html`<rect class="bar${open}" data-day="${day.day}" x="${percent(column * (index + 0.1))}" width="${percent(column * 0.8)}" y="${pixels(plotTop + plotHeight - height)}" height="${pixels(height)}"><title>${day.day}: ${words(day[measure])}</title></rect>
`
})}${days.map((day, index) =>
  (days.length - 1 - index) % every === 0
    ? html`<text class="date${((days.length - 1 - index) / every) % 2 === 1 ? ' between' : ''}" x="${percent(column * (index + 0.5))}" y="${plotTop + plotHeight + 18}">${day.day.slice(5)}</text>
`
    : html``,
)}</svg>
</figure>
`
}

function gridLine(share: number, label: string): Markup {
  const y = plotTop + plotHeight * (1 - share)
  return html`<line class="grid" x1="0" x2="100%" y1="${y}" y2="${y}"/><text class="tick" x="-8" y="${y + 4}">${label}</text>
`
}

const mostPaths = 30
const rowHeight = 46
const longestName = 24

/** From here on a bar is red. */
const nearlyFull = 0.9

/** A bar for each path in use whose capacity is known, the fullest first. */
export function fullnessChart(paths: readonly PathReport[]): Markup {
  const known = paths
    .flatMap((path) =>
      path.usedShare === null || !path.active || path.lostTime !== null
        ? []
        : { ...path, share: path.usedShare },
    )
    .toSorted((one, other) => other.share - one.share)
  if (known.length === 0) return html``
  const shown = known.slice(0, mostPaths)
  const count = known.filter(({ share }) => share >= nearlyFull).length
  const title =
    known.length > shown.length ? `The ${shown.length} fullest paths` : 'How full the paths are'
  return html`<figure>
<figcaption id="fullness-title">${title} <small>(red from 90 %)</small></figcaption>
<svg class="fullness" role="img" aria-labelledby="fullness-title fullness-gist" width="100%" height="${shown.length * rowHeight}">
<desc id="fullness-gist">${count} of ${known.length} are at least 90 % full. The table below has the figures.</desc>
${shown.map(({ name, share, usedBytes, capacityBytes, outlook }, index) => {
  const y = index * rowHeight
  const used = `${Math.floor(share * 100)} %`
  const red = share >= nearlyFull ? ' red' : ''
  const whole = `${plain(name)}: ${prettySize(usedBytes)} of ${prettySize(capacityBytes)}; full: ${outlookInWords(outlook)}`
  return html`<g><title>${whole}</title><text x="0" y="${y + 16}">${shortened(plain(name))}</text><text class="share" x="100%" y="${y + 16}">${used}</text><rect class="track" x="0" y="${y + 24}" width="100%" height="10"/><rect class="bar${red}" data-path="${name}" x="0" y="${y + 24}" width="${percent(Math.min(share, 1) * 100)}" height="10"/></g>
`
})}</svg>
</figure>
`
}

function shortened(name: string): string {
  return name.length > longestName ? `${name.slice(0, longestName - 1)}…` : name
}

function percent(value: number): string {
  return `${Number(value.toFixed(3))}%`
}

function pixels(value: number): string {
  return String(Number(value.toFixed(2)))
}
