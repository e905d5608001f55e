// SPDX-License-Identifier: Apache-2.0
//
// Completion in zsh: a file for a folder of $fpath, or a script to be evaluated. Pure functions.

import type { CommandSyntax } from '../args.js'
import { type CompletedOption, helpWord, type Kind, operandsOf, optionsOf, optionsOfProgram } from './words.js'

export function zshCompletion(commands: readonly CommandSyntax[]): string {
  const described = [...commands, helpWord].map(
    ({ name, summary }) => `      ${quotedInZsh(`${name}:${escaped(summary, ':')}`)}`,
  )
  return `#compdef blockpull
# Completes command lines of blockpull in zsh.
_blockpull() {
  local curcontext=$curcontext state line
  local -a commands
  typeset -A opt_args
  _arguments -C \\
${optionsOfProgram().map(specOf).map(continued).join('')}    '1:command:->command' \\
    '*::argument:->argument' && return
  case $state in
    command)
      commands=(
${described.join('\n')}
      )
      _describe command commands
      ;;
    argument)
      case $words[1] in
${commands.map(branchOf).join('\n')}
        ${helpWord.name}) _arguments ${quotedInZsh(`1:command:(${commands.map(({ name }) => name).join(' ')})`)} ;;
      esac
      ;;
  esac
}
if [ "$funcstack[1]" = _blockpull ]; then
  _blockpull "$@"
else
  compdef _blockpull blockpull
fi
`
}

function branchOf(syntax: CommandSyntax): string {
  const kind = operandsOf(syntax)
  const operands = kind === 'text' ? [] : [quotedInZsh(`*:argument:${actionOf(kind)}`)]
  const specs = [...optionsOf(syntax).map(specOf), ...operands].map((spec) => `            ${spec}`)
  return [`        ${syntax.name})`, '          _arguments \\', specs.join(' \\\n'), '          ;;'].join('\n')
}

function continued(spec: string): string {
  return `    ${spec} \\\n`
}

/** What _arguments takes for an option: which others it excludes, its spellings, its help, its value. */
function specOf({ long, short, multiple, help, value }: CompletedOption): string {
  const tail = `[${escaped(help, '[]')}]${value === null ? '' : `:${value.name}:${actionOf(value.kind)}`}`
  const sign = value === null ? '' : '='
  if (short === undefined) return quotedInZsh(`${multiple ? '*' : ''}--${long}${sign}${tail}`)
  const spellings = `{-${short}${value === null ? '' : '+'},--${long}${sign}}`
  const before = multiple ? '*' : `(-${short} --${long})`
  return `${quotedInZsh(before)}${spellings}${quotedInZsh(tail)}`
}

function escaped(text: string, special: string): string {
  return [...text].map((letter) => (letter === '\\' || special.includes(letter) ? `\\${letter}` : letter)).join('')
}

function actionOf(kind: Kind): string {
  if (kind === 'files') return '_files'
  if (kind === 'folders') return '_files -/'
  return kind === 'text' ? ' ' : `(${kind.join(' ')})`
}

/** As zsh reads it: one word, whatever is in it. */
function quotedInZsh(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
