import { type Command, Option } from 'commander'
import type { Report } from '../report/report.ts'
import { type Act, asAdmin } from './command.ts'
import { pastDay } from './options.ts'
import { writeOutput } from './output-file.ts'

type Format = keyof typeof renderers

interface ReportOptions {
  readonly since?: Date
  readonly format: Format
  readonly output?: string
}

/** Each ends with a newline, and is loaded when it is the one. */
const renderers = {
  async text(report: Report) {
    return (await import('../report/text.ts')).reportAsText(report)
  },
  async markdown(report: Report) {
    return (await import('../report/markdown.ts')).reportAsMarkdown(report)
  },
  async html(report: Report) {
    return (await import('../report/html.ts')).reportAsHtml(report)
  },
  async json(report: Report) {
    return `${JSON.stringify(report, null, 2)}\n`
  },
}

export function declare(program: Command, act: Act): void {
  program
    .command('report')
    .description(
      'volume, failures, what is slow, and when paths will be full; for a mail or a browser',
    )
    .option('--since <time>', 'a time, or how long ago: 24h, 30d; whole days (UTC) count', pastDay)
    .addOption(
      new Option('--format <format>', 'how it is written')
        .choices(Object.keys(renderers))
        .default('text'),
    )
    .option('--output <file>', 'writes it there, and prints nothing')
    .addHelpText('after', '\nWithout --since it is of the last 7 days. See docs/report.md.')
    .action(act(run))
}

async function run({ since, format, output }: ReportOptions, command: Command): Promise<void> {
  const { makeReport } = await import('../report/report.ts')
  const { printLines } = await import('../print.ts')
  const from = since ?? pastDay('7d')
  const report = await asAdmin(command, (schedule) => makeReport(schedule, from))
  const text = await renderers[format](report)
  if (output === undefined) printLines([text.trimEnd()])
  else await writeOutput(output, text)
}
