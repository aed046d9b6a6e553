import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { reportAsHtml } from '../../src/report/html.ts'
import type { Report } from '../../src/report/report.ts'
import { temporaryFolder } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'
import { hostile, sampleReport } from './sample.ts'

const executablePath = findProgram('chromium') ?? ''

describe.skipIf(executablePath === '')('in a browser', () => {
  const folder = temporaryFolder('report')
  let browser: Browser
  beforeAll(async () => {
    // Its sandbox does not work for root, who runs the tests in containers.
    browser = await chromium.launch({ executablePath, chromiumSandbox: false })
  })
  afterAll(async () => {
    await browser?.close()
    await folder.remove()
  })

  interface Looked {
    readonly page: Page
    /** What the page asked for, and what went wrong on it. */
    readonly requests: string[]
    readonly troubles: string[]
    readonly url: string
  }

  async function look(
    report: Report,
    { width = 1024, colorScheme = 'light' as 'light' | 'dark' } = {},
  ): Promise<Looked> {
    const file = join(folder.path, 'report.html')
    writeFileSync(file, reportAsHtml(report))
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme })
    onTestFinished(() => context.close())
    const page = await context.newPage()
    const requests: string[] = []
    const troubles: string[] = []
    page.on('request', (request) => requests.push(request.url()))
    page.on('console', (message) => troubles.push(message.text()))
    page.on('pageerror', (error) => troubles.push(error.message))
    page.on('dialog', (dialog) => {
      troubles.push(dialog.message())
      void dialog.dismiss()
    })
    const url = pathToFileURL(file).href
    await page.goto(url, { waitUntil: 'networkidle' })
    return { page, requests, troubles, url }
  }

  it('asks for nothing but itself, whatever was sent by hosts', async () => {
    const { page, requests, troubles, url } = await look(sampleReport({ word: hostile }))
    expect(requests.filter((one) => !one.startsWith('data:'))).toEqual([url])
    expect(troubles).toEqual([])
    expect(await page.locator('script, img, iframe, link:not([rel=icon])').count()).toBe(0)
    const shown = '<script>alert("1")</script>&amp;|`*_[x](http://x.example) [2J # www.x.example'
    const host = page.getByRole('table').nth(5).getByRole('cell').first()
    expect(await host.textContent()).toBe(shown)
    const names = page.getByRole('img', { name: 'How full the paths are' }).locator('title').first()
    expect(await names.textContent()).toMatch(/^berlin: 950 GB of 1000 GB; full: 2027-01-10$/)
  })

  it.each([
    [1024, 'light', 31],
    [1024, 'dark', 1],
    [320, 'light', 31],
    [320, 'dark', 366],
  ] as const)('nothing overflows %d pixels, %s, %d days', async (width, colorScheme, days) => {
    const long = { name: 'n'.repeat(63), word: 'w'.repeat(500), days }
    const { page } = await look(sampleReport(long), { width, colorScheme })
    const beyond = await page.locator('body *').evaluateAll(
      (all, width) =>
        all
          .filter((one) => one.getClientRects().length > 0)
          // What is wider than its table's frame is scrolled in it.
          .filter((one) => one.matches('.table') || one.closest('.table') === null)
          .filter((one) => {
            const { left, right } = one.getBoundingClientRect()
            return left < 0 || right > width + 0.5
          })
          .map((one) => one.outerHTML.slice(0, 100)),
      width,
    )
    expect(beyond).toEqual([])
    expect(await page.locator('html').evaluate((all) => all.scrollWidth)).toBe(width)
  })

  it.each([8, 90])('the bars are as high as the figures of %d days say', async (days) => {
    const report = sampleReport({ days })
    const { page } = await look(report)
    for (const [name, measure] of [
      ['Stored per day', 'storedBytes'],
      ['Failed tries per day', 'failures'],
    ] as const) {
      const chart = page.getByRole('img', { name })
      const bars = await chart.locator('.bar').evaluateAll((all) =>
        all.map((bar) => {
          const { height, bottom, width, left } = bar.getBoundingClientRect()
          return { day: bar.getAttribute('data-day'), height, bottom, width, left }
        }),
      )
      expect(bars.map(({ day }) => day)).toEqual(report.days.map(({ day }) => day))
      const lines = await chart
        .locator('.grid')
        .evaluateAll((all) => all.map((line) => line.getBoundingClientRect().y))
      const labels = await chart.locator('.tick').allTextContents()
      const [zero = 0, , top = 0] = lines
      const highest = bytesOf(labels[2] ?? '')
      for (const [index, bar] of bars.entries()) {
        const value = report.days[index]?.[measure] ?? 0
        expect(bar.height).toBeCloseTo(((zero - top) * value) / highest, 0)
        if (value > 0) expect(bar.bottom).toBeCloseTo(zero, 0)
        const before = bars[index - 1]
        if (before !== undefined) expect(bar.left).toBeGreaterThan(before.left + before.width)
      }
    }
  })

  it('the fullest path comes first, and its bar is as long as it is full', async () => {
    const { page } = await look(sampleReport())
    const chart = page.getByRole('img', { name: 'How full the paths are' })
    const lengths = await chart
      .locator('.bar, .track')
      .evaluateAll((all) => all.map((one) => one.getBoundingClientRect().width))
    const [whole = 0, berlin = 0, , madrid = 0] = lengths
    expect(lengths).toHaveLength(4)
    expect(berlin / whole).toBeCloseTo(0.95, 3)
    expect(madrid / whole).toBeCloseTo(0.1, 3)
    expect(await chart.locator('.share').allTextContents()).toEqual(['95 %', '10 %'])
  })

  it.each(['light', 'dark'] as const)('what is shown can be seen: %s', async (colorScheme) => {
    const { page } = await look(sampleReport(), { colorScheme })
    const background = await colourOf(page, 'body', 'background-color')
    for (const [selector, property, least] of [
      ['body', 'color', 4.5],
      ['a', 'color', 4.5],
      ['thead th', 'color', 4.5],
      ['small', 'color', 4.5],
      ['.tick', 'fill', 4.5],
      ['.storedBytes .bar', 'fill', 3],
      ['.failures .bar', 'fill', 3],
      ['.fullness .red', 'fill', 3],
    ] as const) {
      const contrast = contrastOf(await colourOf(page, selector, property), background)
      expect(contrast, selector).toBeGreaterThanOrEqual(least)
    }
    expect(luminanceOf(background) > 0.5).toBe(colorScheme === 'light')
  })

  it('a reader that cannot see has headings, named charts, and tables with headers', async () => {
    const { page } = await look(sampleReport())
    expect(await page.getByRole('heading', { level: 2 }).count()).toBe(9)
    const chart = page.getByRole('img', { name: 'Stored per day' })
    expect(await chart.getAttribute('aria-labelledby')).toBe('stored-chart-title stored-chart-gist')
    expect(await chart.locator('desc').textContent()).toBe(
      '8 days, at most 7168 MB, on 2026-11-21. The table below has the figures.',
    )
    expect(await page.getByRole('region', { name: 'Paths' }).getAttribute('tabindex')).toBe('0')
    const row = page.getByRole('row', { name: /^berlin/ }).first()
    expect(await row.getByRole('rowheader').textContent()).toBe('berlin')
    expect(await page.getByRole('columnheader', { name: 'failed tries' }).count()).toBe(3)
  })
})

/** Of a tick's label: a count, or a size. */
function bytesOf(label: string): number {
  const [number, unit] = label.split(' ')
  const power = unit === undefined ? 0 : ['bytes', 'kB', 'MB', 'GB', 'TB'].indexOf(unit)
  return Number(number) * 1024 ** power
}

async function colourOf(page: Page, selector: string, property: string): Promise<number[]> {
  const colour = await page
    .locator(selector)
    .first()
    .evaluate(
      (one, name) => one.ownerDocument.defaultView?.getComputedStyle(one).getPropertyValue(name),
      property,
    )
  return colour.match(/\d+/g)?.slice(0, 3).map(Number) ?? []
}

/** WCAG 2.1, relative luminance and contrast ratio. */
function luminanceOf(colour: readonly number[]): number {
  const [red = 0, green = 0, blue = 0] = colour.map((value) => {
    const share = value / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrastOf(one: readonly number[], other: readonly number[]): number {
  const [less = 0, more = 0] = [luminanceOf(one), luminanceOf(other)].toSorted((a, b) => a - b)
  return (more + 0.05) / (less + 0.05)
}
