// SPDX-License-Identifier: Apache-2.0
//
// Every example in README and docs/ works as it is printed: JavaScript as plain modules of this Node that import
// the built package by its name, and the commands of a synopsis in a shell. An example has worked when it ended
// with 0, said nothing on stderr, and printed what a reader expects of it.
//
// What is expected stands here, beside a text that tells one example from the others, so that the documents stay
// free of marks for tests. An example that has no entry is run all the same.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codeBlocks, commandsOf, documents, readDocument } from './code-blocks.js'
import { ExampleFolder, type Run } from './example-folder.js'

interface Expectation {
  /** Only in the example that is meant. */
  readonly mark: string
  readonly prints: readonly RegExp[]
}

const scripts: readonly Expectation[] = [
  {
    mark: 'await inspectChain(',
    prints: [
      /^overlay\.qcow2 qcow2 0\n.*base\.qcow2 qcow2 50331648\n/,
      /^50331648 bytes to move, 0 reasons against it$/m,
      /^134217728 134217728 \d+$/m,
      /^completed (io_uring|threads) 50331648 \[ '.*base\.qcow2' \]$/m,
    ],
  },
  {
    mark: 'connection.lookupByName(',
    prints: [/type: 1,\s+bandwidth: 52428800,\s+cur: \d+,\s+end: 134217728/, /^vda 0 undefined$/m],
  },
  {
    mark: 'virDomainGetBlockJobInfo(',
    prints: [/^true \d+ 134217728$/m],
  },
]

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

function expectedOf(expectations: readonly Expectation[], text: string): readonly RegExp[] {
  return expectations.filter(({ mark }) => text.includes(mark)).flatMap(({ prints }) => prints)
}

const blocks = documents().flatMap((file) => codeBlocks(file, readDocument(file)))
const scriptBlocks = blocks.filter(({ language }) => language === 'js')
const synopsis = blocks.flatMap(commandsOf)

let folder: ExampleFolder
beforeAll(() => {
  folder = new ExampleFolder()
})
beforeEach(() => folder.renew())
afterAll(() => folder.remove())

describe('JavaScript in our documents', () => {
  it.each(scriptBlocks)('$file:$line works as printed', ({ text }) => {
    expect(complaints(folder.runScript(text), expectedOf(scripts, text))).toEqual([])
  })

  it.each(scripts)('has one example with $mark', ({ mark }) => {
    expect(scriptBlocks.filter(({ text }) => text.includes(mark))).toHaveLength(1)
  })
})

describe('commands in our documents', () => {
  it.each(synopsis)('$line works as printed', ({ line }) => {
    expect(complaints(folder.runCommand(line), expectedOf(commands, line))).toEqual([])
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
    expect(complaints(folder.runScript("console.log('failed')\n"), [/^completed/])).toHaveLength(1)
  })

  it('when a command fails', () => {
    expect(complaints(folder.runCommand('blockpull chain nowhere.qcow2'), [])).toContain('it ended with 1')
  })

  it('when a document does not end its block', () => {
    expect(() => codeBlocks('a.md', '```js\nlet a\n')).toThrow("a code block of 'a.md' has no end")
  })
})

describe('a synopsis', () => {
  const block = { file: 'a.md', line: 1, language: '' }

  it('may have two commands on a line and options in brackets', () => {
    const text = 'blockpull pull a [--base FILE] [--dry-run]\nblockpull chain a        blockpull list --connect "b c"\n'
    expect(commandsOf({ ...block, text })).toEqual([
      { line: 'blockpull pull a', optional: ['--base', '--dry-run'] },
      { line: 'blockpull chain a', optional: [] },
      { line: 'blockpull list --connect "b c"', optional: [] },
    ])
  })

  it('is not any other block', () => {
    expect(commandsOf({ ...block, text: 'npm run demo\n' })).toEqual([])
  })
})
