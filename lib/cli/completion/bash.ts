// SPDX-License-Identifier: Apache-2.0
//
// Completion in bash, without the package bash-completion.
//
// Bash splits words at '=', so that the value of `--base=FILE` is a word of its own behind the word '='. Names of files
// are left to readline, which knows about quotes and '~'. Pure functions.

import type { CommandSyntax } from '../args.js'
import { type CompletedOption, helpWord, type Kind, operandsOf, optionsOf, optionsOfProgram } from './words.js'

export function bashCompletion(commands: readonly CommandSyntax[]): string {
  const names = commands.map(({ name }) => name)
  const first = [...names, helpWord.name, ...optionsOfProgram().flatMap(spellings)]
  return `# Completes command lines of blockpull in bash.
_blockpull() {
  local command=\${COMP_WORDS[1]} word=\${COMP_WORDS[COMP_CWORD]} option=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -le 1 ]; then
    _blockpull_words "${first.join(' ')}" "$word"
    return
  fi
  if [ "$word" = = ]; then
    word=
  elif [ "$option" = = ]; then
    option=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $command:$option in
${commands.flatMap(valueCases).join('\n')}
  esac
  case $command:$word in
${commands.map(optionCase).join('\n')}
${commands.flatMap(operandCase).join('\n')}
    ${helpWord.name}:*) _blockpull_words "${names.join(' ')}" "$word" ;;
  esac
}
_blockpull_words() {
  local word
  for word in $1; do
    if [[ $word == "$2"* ]]; then
      COMPREPLY+=("$word")
    fi
  done
}
complete -F _blockpull blockpull
`
}

function spellings({ long, short }: CompletedOption): string[] {
  return short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`]
}

/** A branch for each kind of value that options of a command have. */
function valueCases(syntax: CommandSyntax): string[] {
  const patterns = new Map<string, string[]>()
  for (const option of optionsOf(syntax)) {
    if (option.value === null) continue
    const action = actionOf(option.value.kind)
    const known = patterns.get(action) ?? []
    patterns.set(action, [...known, ...spellings(option).map((spelling) => `${syntax.name}:${spelling}`)])
  }
  return [...patterns].map(([action, names]) => `    ${names.join('|')}) ${action}; return ;;`)
}

function optionCase(syntax: CommandSyntax): string {
  const words = optionsOf(syntax).flatMap(spellings)
  return `    ${syntax.name}:-*) _blockpull_words "${words.join(' ')}" "$word" ;;`
}

function operandCase(syntax: CommandSyntax): string[] {
  const kind = operandsOf(syntax)
  return kind === 'text' ? [] : [`    ${syntax.name}:*) ${actionOf(kind)} ;;`]
}

function actionOf(kind: Kind): string {
  if (kind === 'files') return 'compopt -o default'
  if (kind === 'folders') return 'compopt -o dirnames'
  return kind === 'text' ? ':' : `_blockpull_words "${kind.join(' ')}" "$word"`
}
