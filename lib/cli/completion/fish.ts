// SPDX-License-Identifier: Apache-2.0
//
// Completion in fish. Pure functions.

import type { CommandSyntax } from '../args.js'
import { type CompletedOption, helpWord, type Kind, operandsOf, optionsOf, optionsOfProgram } from './words.js'

export function fishCompletion(commands: readonly CommandSyntax[]): string {
  const names = commands.map(({ name }) => name)
  const first = [...commands, helpWord].map(({ name, summary }) => line('__fish_use_subcommand', `-a ${name}`, summary))
  const program = optionsOfProgram().map((option) => optionLine('__fish_use_subcommand', option))
  return [
    '# Completes command lines of blockpull in fish.',
    'complete -c blockpull -f',
    ...first,
    ...program,
    ...commands.flatMap(linesOf),
    line(`__fish_seen_subcommand_from ${helpWord.name}`, `-a ${quotedInFish(names.join(' '))}`),
    '',
  ].join('\n')
}

function linesOf(syntax: CommandSyntax): string[] {
  const condition = `__fish_seen_subcommand_from ${syntax.name}`
  const kind = operandsOf(syntax)
  const operands = kind === 'text' ? [] : [line(condition, actionOf(kind))]
  return [...operands, ...optionsOf(syntax).map((option) => optionLine(condition, option))]
}

function optionLine(condition: string, { long, short, help, value }: CompletedOption): string {
  const letter = short === undefined ? '' : `-s ${short} `
  const action = value === null ? '' : ` ${value.kind === 'files' ? '-r' : '-x'} ${actionOf(value.kind)}`
  return line(condition, `${letter}-l ${long}${action}`, help)
}

function line(condition: string, what: string, help?: string): string {
  const about = help === undefined ? '' : ` -d ${quotedInFish(help)}`
  return `complete -c blockpull -n ${quotedInFish(condition)} ${what.trim()}${about}`
}

function actionOf(kind: Kind): string {
  if (kind === 'files') return '-F'
  if (kind === 'folders') return "-a '(__fish_complete_directories)'"
  return kind === 'text' ? '' : `-a ${quotedInFish(kind.join(' '))}`
}

/** fish has escapes within single quotes. */
function quotedInFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
