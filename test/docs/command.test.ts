// SPDX-License-Identifier: Apache-2.0
//
// docs/command.md and the command say the same: every subcommand has a section with the forms of its command line and
// a row for each option, as its help has them; every JSON line has a table, and the lines that the page shows have no
// other keys. Nothing else is in them.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { commands as known } from '../../lib/cli/commands.js'
import { ExitCode } from '../../lib/cli/exit-codes.js'
import { runProgram } from '../../lib/cli/program.js'
import * as api from '../../lib/index.js'
import { codeBlocks, readDocument, root } from './code-blocks.js'
import { differences, headingsOf, quoted, rowsOf, sectionOf } from './tables.js'

const file = 'docs/command.md'
const page = readDocument(file)

/** What the command prints for these arguments, which only ask for help. */
async function printed(...argv: readonly string[]): Promise<string> {
  let text = ''
  const out = { write: (piece: string) => (text += piece) }
  const process = {
    environment: {},
    version: '',
    now: () => 0,
    onInterrupt: () => () => undefined,
    exitNow: () => undefined,
  }
  await runProgram(argv, { ...process, api, out, err: out })
  return text
}

const commands = [...(await printed('help')).matchAll(/^ {2}([a-z-]+) {2,}/gm)].map(([, name = '']) => name)
const helps = new Map<string, string>()
for (const name of commands) helps.set(name, await printed('help', name))

/** The options of a help page, '-c, --connect URI' for example. */
function optionsOf(help: string): string[] {
  return [...help.matchAll(/^ {2}(?: {4}|(-\w), )(--[a-z-]+(?: [A-Z]+)?)/gm)].map(([, short, long]) =>
    short === undefined ? `${long}` : `${short}, ${long}`,
  )
}

/** The forms of a command line. */
function usageOf(help: string): string[] {
  return [...help.matchAll(/^(?:Usage: | {7})(blockpull .*)$/gm)].map(([, form = '']) => form)
}

function documentedOptions(text: string): string[] {
  return rowsOf(text).flatMap(([cell = '']) => (/`-/.test(cell) ? [quoted(cell).join(', ')] : []))
}

const common = documentedOptions(sectionOf(page, '## Options of every subcommand'))
const jsonLines = sectionOf(page, '## JSON lines')
const events = headingsOf(jsonLines).flatMap((heading) => /^### `(\w+)`$/.exec(heading)?.[1] ?? [])

/** The fields that the page has of a JSON line. */
function fieldsOf(event: string): string[] {
  const [table = ''] = sectionOf(page, `### \`${event}\``).split('\n\n| `state` |')
  return rowsOf(table).flatMap(([cell = '']) => quoted(cell))
}

const shownLines = codeBlocks(file, page).flatMap(({ text }) =>
  text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : [])),
)

describe('docs/command.md', () => {
  it('has a section for every subcommand', () => {
    const sections = headingsOf(page).flatMap((heading) => /^## blockpull ([a-z-]+)$/.exec(heading)?.[1] ?? [])
    expect(commands.length).toBeGreaterThan(5)
    expect(differences(sections, commands)).toEqual([])
  })

  it.each(commands)('has the options of %s, as its help has them', (name) => {
    const documented = documentedOptions(sectionOf(page, `## blockpull ${name}`))
    expect(differences([...documented, ...common], optionsOf(helps.get(name) ?? ''))).toEqual([])
  })

  it.each(commands)('has the forms of %s, as its help has them', (name) => {
    const blocks = codeBlocks(file, sectionOf(page, `## blockpull ${name}`)).filter(
      ({ language }) => language === 'text',
    )
    const forms = blocks.flatMap(({ text }) => text.split('\n').filter((line) => line.startsWith('blockpull ')))
    expect(forms).toEqual(usageOf(helps.get(name) ?? ''))
  })

  it.each(commands)('has exit codes of %s that there are', (name) => {
    const codes = rowsOf(sectionOf(page, `## blockpull ${name}`)).flatMap(([cell = '']) =>
      /^\d+$/.test(cell) ? [Number(cell)] : [],
    )
    expect(codes.length).toBeGreaterThan(2)
    const own = known.find((command) => command.name === name)?.exitMeanings?.map(([code]) => code)
    own === undefined
      ? expect(Object.values(ExitCode)).toEqual(expect.arrayContaining(codes))
      : expect(codes).toEqual([...own].sort((a, b) => a - b))
  })

  it('has every exit code', () => {
    const codes = rowsOf(sectionOf(page, '## Exit codes')).map(([cell]) => Number(cell))
    expect(codes).toEqual(Object.values(ExitCode))
  })

  it('has a table for every JSON line', () => {
    expect(differences(events, writtenEvents())).toEqual([])
  })

  it('shows JSON lines that have the fields in the tables, and no other', () => {
    expect(new Set(shownLines.map(({ event }) => event)).size).toBeGreaterThan(6)
    const unknown = shownLines.flatMap((line) => {
      const fields = ['event', ...fieldsOf(String(line['event']))]
      return Object.keys(line).filter((key) => !fields.includes(key))
    })
    expect(unknown).toEqual([])
  })

  it('has no field of a JSON line that no line has, where it shows one', () => {
    const sometimes = ['image', 'pathBytes', 'releasedBytes']
    const unseen = events.flatMap((event) => {
      const lines = shownLines.filter((line) => line['event'] === event)
      const never = fieldsOf(event).filter(
        (field) => !sometimes.includes(field) && lines.every((line) => !(field in line)),
      )
      return lines.length === 0 ? [] : never.map((field) => `${event} ${field}`)
    })
    expect(unseen).toEqual([])
  })
})

describe('what pull --no-wait prints', () => {
  // No transcript has it: the command may also see the end of the pull, and then prints that.
  it('stands in the page as it stands in the command', () => {
    const source = readFileSync(new URL('lib/cli/commands/pull-disk.ts', root), 'utf8')
    const block = codeBlocks(file, page).find(({ text }) => text.startsWith('vm1 vda: pull started'))
    const lines = (block?.text ?? '').replace('vm1 vda', '').trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect(lines.filter((line) => !source.includes(line))).toEqual([])
  })
})

/** The values of `event` that the command writes, read from its sources. */
function writtenEvents(): string[] {
  const folder = new URL('lib/cli/', root)
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const texts = names.map((name) => readFileSync(new URL(name, folder), 'utf8'))
  return [...new Set(texts.flatMap((text) => [...text.matchAll(/\bevent: '(\w+)'/g)].map(([, event = '']) => event)))]
}

describe('a help page', () => {
  it('is read with its options and its forms', () => {
    const help =
      'Usage: blockpull a X\n       blockpull a --b\n\n      --b FILE  c\n  -d, --e-f     g\n\n--h is not one\n'
    expect(optionsOf(help)).toEqual(['--b FILE', '-d, --e-f'])
    expect(usageOf(help)).toEqual(['blockpull a X', 'blockpull a --b'])
  })

  it('is compared with rows of options', () => {
    expect(documentedOptions('| option | meaning |\n| --- | --- |\n| `-d`, `--e-f X` | g |\n| other | |\n')).toEqual([
      '-d, --e-f X',
    ])
  })
})
