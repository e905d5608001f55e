// SPDX-License-Identifier: Apache-2.0
//
// Caps on files, functions, lines and parameters. What passes a cap is two ideas, and is to be taken apart.
//
// Functions are found without a compiler: strings and comments are blanked, then each '{' is judged by the text
// before it. That is a heuristic; it knows the shapes that clang-format and biome produce, and it sees a
// function in a class as well as a free one. The callbacks of describe() and test() are not functions to it.

import { isCpp, isScript, lineAt, type SourceFile } from './source-files.js'

export const caps = {
  cppFileLines: 500,
  scriptFileLines: 400,
  functionLines: 70,
  parameters: 5,
  cppColumns: 100,
  scriptColumns: 120,
} as const

export function checkFileLengths(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const cap = isCpp(file) ? caps.cppFileLines : isScript(file) ? caps.scriptFileLines : undefined
    const lines = file.text.split('\n').length - 1
    return cap !== undefined && lines > cap ? [`${file.path}: ${lines} lines; at most ${cap}`] : []
  })
}

export function checkLineLengths(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const cap = isCpp(file) ? caps.cppColumns : isScript(file) ? caps.scriptColumns : undefined
    if (cap === undefined) {
      return []
    }
    return file.text
      .split('\n')
      .flatMap((line, index) =>
        [...line].length > cap && !/^\s*(\/\/.*https?:|#include)/.test(line)
          ? [`${file.path}:${index + 1}: ${[...line].length} columns; at most ${cap}`]
          : [],
      )
  })
}

export function checkFunctions(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => isCpp(file) || isScript(file))
    .flatMap((file) =>
      findFunctions(file).flatMap(({ name, firstLine, lines, parameters }) => [
        ...(lines > caps.functionLines
          ? [`${file.path}:${firstLine}: ${name}() has ${lines} lines; at most ${caps.functionLines}`]
          : []),
        ...(parameters > caps.parameters && !isLibvirts(file, name)
          ? [`${file.path}:${firstLine}: ${name}() takes ${parameters} parameters; at most ${caps.parameters}`]
          : []),
      ]),
    )
}

/** What native/capi is given by libvirt has as many parameters as it has there. */
function isLibvirts(file: SourceFile, name: string): boolean {
  return file.path.startsWith('native/capi/') && /^vir[A-Z]/.test(name)
}

export interface FoundFunction {
  readonly name: string
  readonly firstLine: number
  readonly lines: number
  readonly parameters: number
}

/** The functions with a body in a file, those inside functions left out. */
export function findFunctions(file: SourceFile): FoundFunction[] {
  const text = blank(file.text, isCpp(file))
  const found: FoundFunction[] = []
  const open: { isFunction: boolean; start: number; head: string }[] = []
  let headStart = 0
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (character === '{') {
      const head = text.slice(headStart, index)
      open.push({ isFunction: isFunctionHead(head), start: headStart + leading(head), head })
    } else if (character === '}') {
      const block = open.pop()
      if (block?.isFunction && !open.some((outer) => outer.isFunction)) {
        const firstLine = lineAt(text, block.start)
        const lines = lineAt(text, index) - firstLine + 1
        found.push({ ...describeHead(block.head), firstLine, lines })
      }
    }
    if (character === '{' || character === '}' || character === ';') {
      headStart = index + 1
    }
  }
  return found
}

const notFunctions = /^(if|for|while|switch|catch|return|else|do|namespace|struct|class|enum|union|extern|new)$/

function isFunctionHead(head: string): boolean {
  const parsed = parseHead(head)
  return parsed !== undefined && !notFunctions.test(parsed.name)
}

function describeHead(head: string): { name: string; parameters: number } {
  const parsed = parseHead(head)
  return { name: parsed?.name ?? '', parameters: countParameters(parsed?.list ?? '') }
}

/** The last line-starting 'name(list) tail' of a head, where the tail is what may stand before a body. */
function parseHead(head: string): { name: string; list: string } | undefined {
  const start = head.search(/[\w~$]+\s*(<[^()]*>)?\s*\(/)
  if (start === -1 || /^\s*(else\s+)?(if|for|while|switch|catch)\b/.test(head.trimStart())) {
    return undefined
  }
  const name = head.slice(start).match(/^[\w~$]+/)?.[0] ?? ''
  const from = head.indexOf('(', start)
  const to = matching(head, from)
  const tail = head.slice(to + 1).trim()
  const before = head.slice(0, start)
  if (to === -1 || /([=.]|\bawait)\s*$/.test(before) || /=>\s*$/.test(head)) {
    return undefined
  }
  // const noexcept override -> T, ': T' of TypeScript, a requires clause, or a constructor's initialisers.
  const isTail = tail === '' || /^(const|noexcept|override|final|mutable|&|->|:|requires|try)/.test(tail)
  return isTail ? { name, list: head.slice(from + 1, to) } : undefined
}

function matching(text: string, from: number): number {
  let depth = 0
  for (let index = from; index < text.length; index++) {
    depth += text[index] === '(' ? 1 : text[index] === ')' ? -1 : 0
    if (depth === 0) {
      return index
    }
  }
  return -1
}

function countParameters(list: string): number {
  if (list.trim() === '' || list.trim() === 'void') {
    return 0
  }
  let depth = 0
  let count = 1
  const withoutArrows = list.replaceAll(/[-=]>/g, '  ').replace(/,\s*$/, '')
  for (const character of withoutArrows) {
    depth += '([{<'.includes(character) ? 1 : ')]}>'.includes(character) ? -1 : 0
    count += character === ',' && depth === 0 ? 1 : 0
  }
  return count
}

function leading(head: string): number {
  return head.length - head.trimStart().length
}

const comments = String.raw`\/\/[^\n]*|\/\*[\s\S]*?\*\/`
const doubleQuoted = String.raw`"(?:\\.|[^"\\\n])*"`

/** Raw strings; comments; strings; characters, but not the ' between digits; preprocessor lines. */
const cppBlanks = new RegExp(
  [
    String.raw`R"(\w*)\([\s\S]*?\)\1"`,
    comments,
    doubleQuoted,
    String.raw`(?<![\da-fA-F])'(?:\\.|[^'\\\n])+'`,
    String.raw`^[ \t]*#(?:[^\n]*\\\n)*[^\n]*`,
  ].join('|'),
  'gm',
)

/** Comments; strings of three kinds; regular expressions, known by what stands before them. */
const scriptBlanks = new RegExp(
  [
    comments,
    String.raw`'(?:\\.|[^'\\\n])*'`,
    doubleQuoted,
    '`(?:\\\\.|[^`\\\\])*`',
    String.raw`(?<=[=(,:[!&|?]\s*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*`,
  ].join('|'),
  'gm',
)

/** Comments, strings and preprocessor lines replaced by spaces, so that positions and lines stay. */
function blank(text: string, cpp: boolean): string {
  const spaces = (match: string): string => match.replaceAll(/[^\n]/g, ' ')
  return text.replaceAll(cpp ? cppBlanks : scriptBlanks, spaces)
}
