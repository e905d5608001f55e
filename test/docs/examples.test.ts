// SPDX-License-Identifier: Apache-2.0
//
// Every example in README and docs/ works as it is printed: JavaScript as plain modules of this Node that import the
// built package by its name, the commands of a synopsis and of a transcript in a shell. JavaScript and a synopsis have
// worked when they ended with 0, said nothing on stderr, and printed what a reader expects. A transcript has when each
// command printed what stands below it.
//
// What JavaScript prints stands in its comments (printed.ts). What a synopsis prints stands here, beside a text that
// tells one command from the others. An example that says nothing of its output is run all the same.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { codeBlocks, commandsOf, documents, exchangesOf, languages, readDocument } from './code-blocks.js'
import { ExampleFolder, type Run } from './example-folder.js'
import { brokenPromise, isPrinted, promisedLines } from './printed.js'

interface Expectation {
  /** Only in the command that is meant. */
  readonly mark: string
  readonly prints: readonly RegExp[]
}

const commands: readonly Expectation[] = [
  {
    mark: 'pull overlay.qcow2',
    prints: [/^overlay\.qcow2: pulled, 48\.0 MiB moved/, /overlay\.qcow2 no longer needs base\.qcow2/],
  },
  { mark: 'job --connect', prints: [/^no current block job for vda$/m] },
  { mark: 'reap --connect', prints: [/^nothing to reap$/m] },
  {
    mark: 'pull --connect',
    prints: [/^vm0 vda: pulled, 96\.0 MiB moved/, /vm0 vda no longer needs .*template\.qcow2/],
  },
  { mark: 'chain', prints: [/^IMAGE/, /^overlay\.qcow2 +qcow2/m, /base\.qcow2 +qcow2 +128\.0 MiB/] },
  { mark: 'create', prints: [/^new\.qcow2: created/] },
  { mark: 'digest', prints: [/^[0-9a-f]{64} {2}overlay\.qcow2$/m] },
  { mark: 'list', prints: [/^vm0 +shut off +vda +-$/m] },
]

/** What is wrong with a run; empty when nothing is. */
function complaints(run: Run, prints: readonly RegExp[]): string[] {
  return [
    ...(run.exitCode === 0 ? [] : [`it ended with ${run.exitCode}`]),
    ...(run.err === '' ? [] : [`it complained: ${run.err}`]),
    ...prints.filter((pattern) => !pattern.test(run.out)).map((pattern) => `it did not print ${pattern}: ${run.out}`),
  ]
}

/** The same of a script, which promises its output itself. */
function scriptComplaints(text: string): string[] {
  const run = folder.runScript(text)
  const broken = brokenPromise(promisedLines(text), run.out)
  return [...complaints(run, []), ...(broken === null ? [] : [`it did not print ${broken}: ${run.out}`])]
}

const blocks = documents().flatMap((file) => codeBlocks(file, readDocument(file)))
const scriptBlocks = blocks.filter(({ language }) => language === 'js')
const transcripts = blocks.filter((block) => exchangesOf(block).length > 0)
const synopsis = blocks.flatMap(commandsOf)

let folder: ExampleFolder
beforeAll(() => {
  folder = new ExampleFolder()
})
afterAll(() => folder.remove())

describe('a block of code', () => {
  it.each(blocks)('$file:$line is of a kind that is tested, or text', ({ language }) => {
    expect(languages).toContain(language)
  })
})

describe('JavaScript in our documents', () => {
  it.each(scriptBlocks)('$file:$line works as printed', async ({ text }) => {
    await folder.renew(text)
    expect(scriptComplaints(text)).toEqual([])
  })
})

describe('a transcript in our documents', () => {
  it.each(transcripts)('$file:$line shows what is printed', async (block) => {
    await folder.renew(block.text)
    const exchanges = exchangesOf(block)
    const printed = folder.runTranscript(exchanges)
    const wrong = exchanges.flatMap(({ line, prints }, at) =>
      isPrinted(prints, printed[at] ?? []) ? [] : [{ line, prints, printed: printed[at] }],
    )
    expect(wrong).toEqual([])
  })

  it('is among them', () => {
    expect(transcripts.length).toBeGreaterThan(5)
  })
})

describe('commands in our documents', () => {
  it.each(synopsis)('$line works as printed', async ({ line }) => {
    await folder.renew(line)
    const prints = commands.filter(({ mark }) => line.includes(mark)).flatMap((command) => command.prints)
    expect(complaints(folder.runCommand(line), prints)).toEqual([])
  })

  it.each(synopsis.filter(({ optional }) => optional.length > 0))(
    '$line has the optional options that are named',
    ({ line, optional }) => {
      const help = folder.runCommand(`${line.split(' ').slice(0, 2).join(' ')} --help`)
      expect(optional.filter((option) => !help.out.includes(` ${option} `))).toEqual([])
    },
  )

  it.each(commands)('has one command with "$mark"', ({ mark }) => {
    expect(synopsis.filter(({ line }) => line.includes(mark))).toHaveLength(1)
  })
})

describe('a broken example is noticed', () => {
  it('when it throws', () => {
    const run = folder.runScript("import { pullImage } from 'blockpull'\nawait pullImage('nowhere.qcow2')\n")
    expect(run.err).toContain("BlockPullError: stat of 'nowhere.qcow2' failed")
    expect(complaints(run, [])).toContain('it ended with 1')
  })

  it('when it imports what is not there', () => {
    expect(complaints(folder.runScript("import { pull } from 'blockpull'\n"), [])).toContain('it ended with 1')
  })

  it('when a job fails that nobody awaits', () => {
    expect(complaints({ exitCode: 0, out: '', err: 'BlockPullWarning' }, [])).toHaveLength(1)
  })

  it('when it prints something else', () => {
    expect(scriptComplaints("console.log('failed') // => completed\n")).toHaveLength(1)
    expect(scriptComplaints("console.log('completed at once') // => completed...\n")).toEqual([])
  })

  it('when a command fails', () => {
    expect(complaints(folder.runCommand('blockpull chain nowhere.qcow2'), [])).toContain('it ended with 1')
  })

  it('when a command of a transcript prints something else', () => {
    const [code, version] = folder.runTranscript([
      { line: 'false', prints: [] },
      { line: 'echo $?; pwd', prints: [] },
    ])
    expect(code).toEqual([])
    expect(version).toEqual(['1', '/srv/images'])
    expect(isPrinted(['1', '/srv'], version ?? [])).toBe(false)
  })

  it('when a document does not end its block', () => {
    expect(() => codeBlocks('a.md', '```js\nlet a\n')).toThrow("a code block of 'a.md' has no end")
  })
})
