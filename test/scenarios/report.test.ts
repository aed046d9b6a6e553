import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin')
  const primary = await fleet.startPrimary('app', ['berlin'])
  await archiveSegment(primary)
  await archiveSegment(primary)
})

const today = new Date().toISOString().slice(0, 10)

it('a mail from cron has the report, and nothing else', async () => {
  const { status, stdout, stderr } = await fleet.pgarch(['report'], { admin: true })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(
    /^pgarch report, \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d UTC, made .*\n\nSummary\n/,
  )
  expect(stdout).toMatch(/\nclusters +1 archiving\n/)
  expect(stdout).toMatch(/\nberlin +1 +\d+ /)
  expect(stdout).toMatch(/[^\n]\n$/)
  expect(stdout.split('\n').filter((line) => line.length > 76)).toEqual([])
})

it('whoever may only monitor has it as JSON, of the wanted days', async () => {
  await fleet.rows('create role watcher login; grant pgarch_monitor to watcher')
  const { stdout, status } = await fleet.pgarch(
    ['--schedule', fleet.schedule.url('pgarch', 'watcher'), 'report', '--since', '90d'].concat(
      '--format',
      'json',
    ),
  )
  expect(status).toBe(0)
  const report = JSON.parse(stdout)
  expect(Object.keys(report)).toEqual(
    ['version', 'time', 'until', 'since', 'summary', 'days', 'paths', 'clusterFailures'].concat(
      'localArchives',
      'conflicts',
      'slowest',
      'oldest',
    ),
  )
  expect(report).toMatchObject({ version: 1, until: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) })
  expect(report.oldest[0]).toMatchObject({ cluster: 'app', time: expect.stringMatching(/Z$/) })
})

it.each([
  ['html', '<!doctype html>\n'],
  ['markdown', '# pgarch report, '],
])('%s replaces a file as a whole, and prints nothing', async (format, beginning) => {
  const folder = makeFolder(fleet.folder, `reports-${format}`)
  const file = join(folder, 'report')
  await fleet.pgarch(['report', '--output', file], { admin: true })
  const before = statSync(file)
  const { status, stdout, stderr } = await fleet.pgarch(
    ['report', '--format', format, '--since', today, '--output', file],
    { admin: true },
  )
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
  expect(readFileSync(file, 'utf8').slice(0, beginning.length)).toBe(beginning)
  expect(statSync(file).ino).not.toBe(before.ino)
  expect(statSync(file).mode & 0o777).toBe(0o644)
  expect(readdirSync(folder)).toEqual(['report'])
})

it.each([
  [['--format', 'pdf'], /Allowed choices are text, markdown, html, json/, 64],
  [['--since', 'yesterday'], /It takes a time, or how long ago/, 64],
  [['--since', '2999-01-01'], /it takes a time that is over/, 64],
  [['--since', '999999999999d'], /It takes a time, or how long ago/, 64],
  [['--output', '/dev/null'], /"\/dev\/null" is not a regular file/, 64],
  [['--output', '/nowhere/report'], /could not write file "\/nowhere\/report/, 1],
])('%o is refused', async (words, message, expected) => {
  const { status, stdout, stderr } = await fleet.pgarch(['report', ...words], { admin: true })
  expect(stderr).toMatch(message)
  expect(stdout).toBe('')
  expect(status).toBe(expected)
})

it('a report that could not be made leaves the last one in place', async () => {
  const file = join(makeFolder(fleet.folder, 'kept'), 'report')
  writeFileSync(file, 'the last one')
  const { status, stderr } = await fleet.pgarch(
    ['--schedule', 'postgresql://127.0.0.1:1/none', 'report', '--output', file],
    { asTester: true },
  )
  expect(status).toBe(1)
  expect(stderr).toMatch(/ERROR:/)
  expect(readFileSync(file, 'utf8')).toBe('the last one')
})
