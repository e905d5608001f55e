// SPDX-License-Identifier: Apache-2.0
//
// Finds the code in our documents: fenced blocks, with the file and the line where each begins, the shell commands
// of a synopsis, and the commands of a transcript with what they print. Pure functions over text.
//
//     js        a module, run as it is
//     sh, none  a synopsis: each line that begins with `blockpull` is run; others are left alone
//     console   a transcript: each `$ ` line is run, and what follows it is compared with what it prints
//     text      text: the form of a command line with placeholders, a drawing
//
// A synopsis may put two commands on one line, two or more blanks apart, and options that may be left out in
// brackets. What is in brackets is left out when the command is run; the options named there are checked by name.
// In a transcript a line `...` stands for any number of lines.

import { readdirSync, readFileSync } from 'node:fs'

export interface CodeBlock {
  readonly file: string
  /** Of the opening fence, from 1. */
  readonly line: number
  /** What follows the opening fence, 'js' for example; may be empty. */
  readonly language: string
  readonly text: string
}

/** A command of a synopsis. */
export interface Command {
  /** Without what is in brackets. */
  readonly line: string
  /** The options in brackets, '--base' for example. */
  readonly optional: readonly string[]
}

/** A command of a transcript. */
export interface Exchange {
  readonly line: string
  /** What it prints, on stdout and stderr; a line '...' stands for any number of lines. */
  readonly prints: readonly string[]
}

/** What a fence may name. */
export const languages: readonly string[] = ['js', 'sh', 'console', 'text', '']

export const root = new URL('../../', import.meta.url)

/** README and the pages of docs/, by their path from the root. */
export function documents(): string[] {
  const pages = readdirSync(new URL('docs', root)).filter((name) => name.endsWith('.md'))
  return ['README.md', ...pages.sort().map((name) => `docs/${name}`)]
}

export function readDocument(file: string): string {
  return readFileSync(new URL(file, root), 'utf8')
}

export function codeBlocks(file: string, markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  let open: { line: number; language: string; lines: string[] } | null = null
  markdown.split('\n').forEach((text, index) => {
    if (!text.startsWith('```')) {
      open?.lines.push(text)
    } else if (open === null) {
      open = { line: index + 1, language: text.slice(3).trim(), lines: [] }
    } else {
      blocks.push({ file, line: open.line, language: open.language, text: `${open.lines.join('\n')}\n` })
      open = null
    }
  })
  if (open !== null) throw new Error(`a code block of '${file}' has no end`)
  return blocks
}

/** The commands of a synopsis; none for any other block. */
export function commandsOf(block: CodeBlock): Command[] {
  if (block.language !== 'sh' && block.language !== '') return []
  const lines = block.text.split('\n').filter((line) => line.startsWith('blockpull '))
  return lines
    .flatMap((line) => line.split(/ {2,}(?=blockpull )/))
    .map((command) => ({
      line: command.replace(/\s*\[[^\]]*\]/g, '').trim(),
      optional: [...command.matchAll(/\[(--[a-z-]+)/g)].map(([, option = '']) => option),
    }))
}

/** The commands of a transcript with what they print; none for any other block. */
export function exchangesOf(block: CodeBlock): Exchange[] {
  if (block.language !== 'console') return []
  const [before = '', ...commands] = block.text.split(/^\$ /m)
  if (before !== '')
    throw new Error(`'${block.file}' has a transcript in line ${block.line} that begins with no command`)
  return commands.map((command) => {
    const [line = '', ...prints] = command.trimEnd().split('\n')
    return { line, prints }
  })
}
