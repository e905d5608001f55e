// SPDX-License-Identifier: Apache-2.0
//
// The help pages, made from the commands' own syntax.
//
// One page for the program, one for each command; both fit a terminal of 80 columns. Pure functions.

import { type CommandSyntax, commonOptions, type OptionSyntax } from './args.js'
import { exitMeanings } from './exit-codes.js'
import { formatTable } from './measures.js'

export function programHelp(commands: readonly CommandSyntax[]): string {
  const codes = exitMeanings.map(([code, meaning]) => `${code} ${meaning}`)
  return [
    'blockpull fills a disk image from its backing chain, so that it stands on its own.\n\n',
    'Usage: blockpull COMMAND [OPTION]...\n\n',
    formatTable(commands.map(({ name, summary }) => [`  ${name}`, summary])),
    '\nExample: blockpull pull overlay.qcow2 --bandwidth 50M\n',
    "\n'blockpull COMMAND --help' prints more; 'blockpull --version' prints the version.\n",
    `Exit codes: ${codes.slice(0, -1).join(', ')},\n            ${codes.at(-1)}.\n`,
  ].join('')
}

export function commandHelp(syntax: CommandSyntax): string {
  const usage = syntax.usage.map((form, index) => `${index === 0 ? 'Usage: ' : '       '}blockpull ${form}\n`)
  const rows = Object.entries({ ...syntax.options, ...commonOptions }).map(optionRow)
  const notes = syntax.notes.length === 0 ? '' : `\n${syntax.notes.join('\n')}\n`
  const codes = syntax.exitMeanings?.map(([code, meaning]) => `${code} ${meaning}`)
  const exits = codes === undefined ? '' : `\nExit codes: ${codes.join(', ')}.\n`
  return `${usage.join('')}\n${syntax.summary}\n\n${formatTable(rows)}${notes}${exits}`
}

function optionRow([name, { value, short, help }]: [string, OptionSyntax]): string[] {
  const letter = short === undefined ? '    ' : `-${short}, `
  return [`  ${letter}--${name}${value === undefined ? '' : ` ${value}`}`, help]
}
