// SPDX-License-Identifier: Apache-2.0
//
// What the completions of every shell are made of: the words in the place of a command, and for each option what its
// value is. Pure functions over the table of commands.

import { type CommandSyntax, commonOptions, type OptionSyntax, programOptions } from '../args.js'

/** What a value, or an argument, may be: one of some words, the name of a file or of a folder, or any text. */
export type Kind = 'files' | 'folders' | 'text' | readonly string[]

export interface CompletedOption {
  readonly long: string
  readonly short: string | undefined
  readonly multiple: boolean
  readonly help: string
  /** The value's name in help, and what it may be; `null` for an option without a value. */
  readonly value: { readonly name: string; readonly kind: Kind } | null
}

export const helpWord = { name: 'help', summary: 'Print the help of a command.' }

/** Options of one command. */
export function optionsOf(syntax: CommandSyntax): CompletedOption[] {
  return completed({ ...syntax.options, ...commonOptions })
}

/** Options in the place of a command. */
export function optionsOfProgram(): CompletedOption[] {
  return completed(programOptions)
}

function completed(options: Readonly<Record<string, OptionSyntax>>): CompletedOption[] {
  return Object.entries(options).map(([long, option]) => {
    const { value, short, multiple = false, help } = option
    return { long, short, multiple, help, value: value === undefined ? null : { name: value, kind: kindOf(option) } }
  })
}

function kindOf({ value, choices }: OptionSyntax): Kind {
  if (choices !== undefined) return choices
  if (value === 'FILE' || value === 'SOCKET') return 'files'
  return value === 'DIR' ? 'folders' : 'text'
}

/** What a command's arguments may be. */
export function operandsOf({ operands }: CommandSyntax): Kind {
  return operands ?? 'text'
}
