// SPDX-License-Identifier: Apache-2.0
//
// The manual pages: one for each command, listed in package.json, with every option and form of its help, and such that
// neither groff nor mandoc complains.

import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { commonOptions, programOptions } from '../../../lib/cli/args.js'
import { commands } from '../../../lib/cli/commands.js'
import { exitMeanings } from '../../../lib/cli/exit-codes.js'
import { manPages } from '../../../scripts/man-pages.mjs'
import { run, runWell } from '../../support/processes/run-program.js'
import { TempFolder } from '../../support/temp-folder.js'

const temp = new TempFolder('man-pages')
afterAll(() => temp.remove())

const source = { commands, commonOptions, programOptions, exitMeanings, version: '1.2.3' }
const pages = manPages(source)
for (const [name, text] of pages) writeFileSync(temp.file(name), text)

/** A page as it is read, in lines that are never broken. */
async function read(name: string): Promise<string> {
  const text = await runWell('groff', ['-man', '-Tutf8', '-P-cbou', '-rLL=4000n', '-rHY=0', temp.file(name)])
  return text.replaceAll(/ +/g, ' ')
}

describe('the manual pages', () => {
  it('are those that package.json names, one for the program and one for each command', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
    expect([...pages.keys()].map((name) => `man/${name}`)).toEqual(manifest.man)
    expect([...pages.keys()]).toEqual(['blockpull.1', ...commands.map(({ name }) => `blockpull-${name}.1`)])
  })

  it.each([...pages.keys()])('%s is set by groff without a warning', async (name) => {
    const { code, stdout, stderr } = await run('groff', ['-man', '-Tutf8', '-ww', '-z', temp.file(name)])
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it.each([...pages.keys()])('%s has no fault that mandoc finds, but that it has no date', async (name) => {
    const { stdout } = await run('mandoc', ['-T', 'lint', '-W', 'warning', temp.file(name)])
    const faults = stdout.split('\n').filter((line) => line !== '' && !line.endsWith('missing date, using "": TH'))
    expect(faults).toEqual([])
    expect(stdout).toContain('missing date')
  })

  it.each(commands)('that of $name has its forms, options and notes', async (command) => {
    const text = await read(`blockpull-${command.name}.1`)
    for (const form of command.usage) expect(text).toContain(` blockpull ${form}\n`)
    const options = { ...command.options, ...commonOptions }
    for (const [name, { value, short, help }] of Object.entries(options)) {
      const spelling = `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
      expect(text).toMatch(new RegExp(`^ ${spelling}\\s+${escaped(help)}$`, 'm'))
    }
    for (const line of command.notes) expect(text).toContain(line.replaceAll(/ +/g, ' '))
    expect(text).toContain('blockpull 1.2.3')
  })

  it('that of the program names every command, exit code and variable', async () => {
    const text = await read('blockpull.1')
    for (const { name, summary } of commands) {
      expect(text).toMatch(new RegExp(`^ blockpull-${name}\\(1\\)\\s+${escaped(summary)}$`, 'm'))
    }
    for (const [code, meaning] of exitMeanings) {
      expect(text).toMatch(new RegExp(`^ ${code} ${escaped(meaning)}$`, 'm'))
    }
    expect(text).toMatch(/^ BLOCKPULL_URI\s+the connection/m)
  })

  it('keep what roff would take for a request, an escape or a quote', async () => {
    const odd = { name: 'odd', summary: 'Odd.', usage: ['odd'], options: {}, notes: ['.x \'y\' \\fB a-b ~ ^ "z" `'] }
    const [, text = ''] = [...manPages({ ...source, commands: [odd] })].at(-1) ?? []
    writeFileSync(temp.file('odd.1'), text)
    expect(await read('odd.1')).toContain('.x \'y\' \\fB a-b ~ ^ "z" `')
  })
})

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
