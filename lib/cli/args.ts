// SPDX-License-Identifier: Apache-2.0
//
// Command lines: parsed by node:util, judged here, one syntax for each command.
//
// `parseArgs` runs in its lenient mode and gives its tokens. Our own sentences report what is wrong: they name the
// option, what arrived and what was expected, and suggest the option that was meant. The help page of a command comes
// from the same table, so that the two cannot drift apart. Pure functions.

import { parseArgs } from 'node:util'
import type { BlockPullOptions, CheckImageOptions, PathLike, PullImageOptions } from '../index.js'
import { nearest } from '../words/nearest.js'
import { toPath } from './command-line.js'

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends Error {}

export interface OptionSyntax {
  /** The value's name in help ('FILE'); absent for an option without a value. */
  readonly value?: string
  readonly short?: string
  readonly multiple?: boolean
  /** Words that the value may be, for completions. */
  readonly choices?: readonly string[]
  readonly help: string
}

export interface CommandSyntax {
  readonly name: string
  readonly summary: string
  /** Forms of the command line, without 'blockpull'. */
  readonly usage: readonly string[]
  readonly options: Readonly<Record<string, OptionSyntax>>
  /** What arguments are, for completions: names of files, or one of some words. */
  readonly operands?: 'files' | readonly string[]
  readonly notes: readonly string[]
  /** What each exit code means, where they are not those of the program. */
  readonly exitMeanings?: readonly (readonly [code: number, meaning: string])[]
}

/** Options of every command. */
export const commonOptions: Readonly<Record<string, OptionSyntax>> = {
  json: { help: 'print JSON lines, the last one the outcome' },
  help: { short: 'h', help: 'print this help' },
}

/** Options in the place of a command. */
export const programOptions: Readonly<Record<string, OptionSyntax>> = {
  help: { short: 'h', help: 'print the list of commands' },
  version: { short: 'V', help: 'print the version' },
}

/** Formats that backing files may have. */
export const imageFormats = ['qcow2', 'raw'] as const

/** What `--trailing-data` may be. */
export const trailingChoices = ['keep', 'discard'] as const

/** What `--repair` may be. */
export const repairChoices = ['leaks', 'all'] as const

/** What `--on-error` may be. */
export const onErrorChoices = ['report', 'stop', 'enospc'] as const

/** For commands that open a chain. */
const backingFormatOption: Readonly<Record<string, OptionSyntax>> = {
  'backing-format': {
    value: 'F',
    multiple: true,
    choices: imageFormats,
    help: 'FILE=F: format of FILE; F: of the one layer without',
  },
}

/** For commands that open one image file, which is named on the command line. */
export const formatOption: Readonly<Record<string, OptionSyntax>> = {
  format: { value: 'F', choices: imageFormats, help: 'format of IMAGE; default: by its magic, never raw' },
}

/** The same for commands that open its chain as well. */
export const imageOptions: Readonly<Record<string, OptionSyntax>> = {
  ...formatOption,
  ...backingFormatOption,
  'allow-backing': { value: 'DIR', multiple: true, help: 'only take backing files under DIR (repeatable)' },
}

/** For commands that report which files are no longer needed. */
export const siblingOption: Readonly<Record<string, OptionSyntax>> = {
  siblings: { value: 'DIR', multiple: true, help: 'check which files images in DIR need (repeatable)' },
}

/** Printed for people who gave no --siblings. */
export const siblingHint = 'other images may; --siblings DIR checks them'

/** A command line that was understood. */
export class Arguments {
  readonly positionals: readonly string[]
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(positionals: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.positionals = positionals
    this.#values = values
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** The value given last, or `undefined`. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1)
  }

  /** All values given, or `undefined`. */
  list(name: string): readonly string[] | undefined {
    return this.#values.get(name)
  }

  /** The positionals when there are exactly as many as `names`. */
  exactly(...names: readonly string[]): readonly string[] {
    const missing = names[this.positionals.length]
    if (missing !== undefined) throw new UsageError(`${missing} is missing; expected ${names.join(' ')}`)
    const extra = this.positionals[names.length]
    if (extra !== undefined)
      throw new UsageError(`argument '${extra}' is unexpected; expected ${names.join(' ') || 'options only'}`)
    return this.positionals
  }
}

export function parseArguments(syntax: CommandSyntax, argv: readonly string[]): Arguments {
  const known: Record<string, OptionSyntax> = { ...syntax.options, ...commonOptions }
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { value, short }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), ...(short && { short }) },
    ]),
  )
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true })
  const positionals: string[] = []
  const values = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined
    if (option === undefined) throw unknownOption(token.rawName, Object.keys(known))
    const value = readValue(option, token.rawName, token.value, token.inlineValue === true)
    values.set(token.name, option.multiple ? [...(values.get(token.name) ?? []), value] : [value])
  }
  return new Arguments(positionals, values)
}

function unknownOption(typed: string, known: readonly string[]): UsageError {
  const near = nearest(typed.replace(/^-+/, ''), known)
  return new UsageError(`option '${typed}' is unknown; ${near ? `did you mean '--${near}'?` : 'see --help'}`)
}

function readValue(option: OptionSyntax, name: string, value: string | undefined, isInline: boolean): string {
  if (option.value === undefined) {
    if (isInline) throw new UsageError(`option '${name}' is given '${value}'; it takes no value`)
    return ''
  }
  if (value === undefined) throw new UsageError(`option '${name}' has no value; expected ${name} ${option.value}`)
  if (!isInline && value.length > 1 && value.startsWith('-')) {
    throw new UsageError(`option '${name}' has '${value}' for its value; write ${name}=${value} if that is meant`)
  }
  return value
}

/** The most of every --timeout: what a timer can wait for. */
export const longestTimeoutSeconds = 2147483

/** A whole number within its range. */
export function readNumber(args: Arguments, name: string, most: number): number | undefined {
  const text = args.text(name)
  if (text === undefined) return undefined
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (number >= 1 && number <= most) return number
  throw new UsageError(`--${name} is '${text}'; expected a whole number from 1 to ${most}`)
}

/**
 * The `--bandwidth` of a command line in the API's words: a bare number is MiB/s as in virsh, bytes a second with
 * `--bytes`; with a suffix it is bytes a second anyway.
 */
export function readBandwidth(args: Arguments): string | undefined {
  const text = args.text('bandwidth')
  if (text === undefined) {
    if (args.has('bytes')) throw new UsageError('--bytes has nothing to apply to; expected --bandwidth N beside it')
    return undefined
  }
  if (/^\d{1,19}$/.test(text)) return args.has('bytes') ? `${text}B/s` : `${text}MiB/s`
  if (/^\d{1,19}(\.\d{1,18})?\s*([kKmMgGtTpPeE](iB|B)?|B)(\/s)?$/.test(text)) return text
  throw new UsageError(`--bandwidth is '${text}'; expected '50' (MiB/s), '500K', '50M' or '1G' (bytes a second)`)
}

/** The `--trailing-data` of a command line. */
export function readTrailingData(args: Arguments): PullImageOptions['trailingData'] {
  const how = args.text('trailing-data')
  const known = trailingChoices.find((choice) => choice === how)
  if (how === undefined || known !== undefined) return known
  throw new UsageError(`--trailing-data is '${how}'; expected 'keep' or 'discard'`)
}

/** The `--repair` of a command line. */
export function readRepair(args: Arguments): CheckImageOptions['repair'] {
  const scope = args.text('repair')
  const known = repairChoices.find((choice) => choice === scope)
  if (scope === undefined || known !== undefined) return known
  throw new UsageError(`--repair is '${scope}'; expected 'leaks' or 'all'`)
}

/** Refuses to discard bytes of several images, or of a domain's, that nobody has looked at. */
export const discardUsage = '--trailing-data discard takes one IMAGE, named by itself; name it alone'

/** The `--on-error` of a command line. */
export function readOnError(args: Arguments): BlockPullOptions['onError'] {
  const how = args.text('on-error')
  const known = onErrorChoices.find((choice) => choice === how)
  if (how === undefined || known !== undefined) return known
  throw new UsageError(`--on-error is '${how}'; expected 'report', 'stop' or 'enospc'`)
}

/** The `--backing-format`s of a command line: FILE=F, split at the last '=', and one F alone. */
export function readBackingFormats(args: Arguments) {
  let backingFormat: string | undefined
  const files = new Map<string, string>()
  for (const given of args.list('backing-format') ?? []) {
    const split = given.lastIndexOf('=')
    const [file, format] = [given.slice(0, Math.max(split, 0)), given.slice(split + 1)]
    const known = split < 0 ? backingFormat : files.get(file)
    if (format === '' || split === 0) {
      throw new UsageError(`--backing-format is '${given}'; expected FILE=FORMAT or FORMAT, '/srv/base.img=raw' say`)
    }
    if (known !== undefined && known !== format) {
      const whose = split < 0 ? 'without a file' : `for '${file}'`
      throw new UsageError(`--backing-format is given twice ${whose}, '${known}' and '${format}'; expected one`)
    }
    if (split < 0) backingFormat = format
    else files.set(file, format)
  }
  return { backingFormat, backingFormats: files.size === 0 ? undefined : byPath(files) }
}

function byPath(files: ReadonlyMap<string, string>): ReadonlyMap<PathLike, string> {
  return new Map([...files].map(([file, format]) => [toPath(file), format]))
}

/** The `--base` of a command line. */
export function readBase(args: Arguments): PathLike | undefined {
  const base = args.text('base')
  return base === undefined ? undefined : toPath(base)
}

/** The API's image options for `imageOptions`. */
export function readImageOptions(args: Arguments) {
  return {
    format: args.text('format'),
    ...readBackingFormats(args),
    backingPaths: args.list('allow-backing')?.map(toPath),
  }
}
