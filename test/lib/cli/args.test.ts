// SPDX-License-Identifier: Apache-2.0
//
// Command lines: what cannot be understood, in our words; then values, lists and bandwidths.

import { describe, expect, it } from 'vitest'
import { type CommandSyntax, parseArguments, readBandwidth, readNumber, UsageError } from '../../../lib/cli/args.js'

const syntax: CommandSyntax = {
  name: 'try',
  summary: '',
  usage: [],
  notes: [],
  options: {
    base: { value: 'FILE', help: '' },
    bandwidth: { value: 'N', help: '' },
    bytes: { help: '' },
    timeout: { value: 'S', help: '' },
    'allow-backing': { value: 'DIR', multiple: true, help: '' },
    quiet: { short: 'q', help: '' },
  },
}

const parse = (...argv: string[]) => parseArguments(syntax, argv)

describe('a command line', () => {
  it.each([
    [['--bas', 'x'], "option '--bas' is unknown; did you mean '--base'?"],
    [['-z'], "option '-z' is unknown; see --help"],
    [['--constructor'], "option '--constructor' is unknown; see --help"],
    [['--base'], "option '--base' has no value; expected --base FILE"],
    [['--base', '--quiet'], "option '--base' has '--quiet' for its value; write --base=--quiet if that is meant"],
    [['--timeout', '-5'], "option '--timeout' has '-5' for its value"],
    [['--quiet=yes'], "option '--quiet' is given 'yes'; it takes no value"],
  ])('of %o is refused', (argv, message) => {
    expect(() => parse(...argv)).toThrow(UsageError)
    expect(() => parse(...argv)).toThrow(message)
  })

  it('gives values, switches, lists and positionals in any order', () => {
    const args = parse('a', '-q', '--base=--odd', 'b', '--allow-backing', 'x', '--allow-backing=y', '--', '--c')
    expect(args.positionals).toEqual(['a', 'b', '--c'])
    expect(args.has('quiet')).toBe(true)
    expect(args.has('bytes')).toBe(false)
    expect(args.text('base')).toBe('--odd')
    expect(args.list('allow-backing')).toEqual(['x', 'y'])
    expect(args.list('base')).toEqual(['--odd'])
    expect(args.text('timeout')).toBeUndefined()
  })

  it('takes an empty value and the last of several', () => {
    expect(parse('--base', '').text('base')).toBe('')
    expect(parse('--base', 'a', '--base', 'b').text('base')).toBe('b')
  })

  it('must have exactly the positionals that a command names', () => {
    expect(() => parse().exactly('DOMAIN', 'DISK')).toThrow('DOMAIN is missing; expected DOMAIN DISK')
    expect(() => parse('a').exactly('DOMAIN', 'DISK')).toThrow('DISK is missing; expected DOMAIN DISK')
    expect(() => parse('a', 'b').exactly('IMAGE')).toThrow("argument 'b' is unexpected; expected IMAGE")
    expect(() => parse('a').exactly()).toThrow("argument 'a' is unexpected; expected options only")
  })
})

describe('a number', () => {
  it.each(['0', '-1', '1.5', 'x', '', '1e3', '2147484'])('is not %o', (text) => {
    expect(() => readNumber(parse(`--timeout=${text}`), 'timeout', 2147483)).toThrow(/^--timeout is '.*1 to 2147483$/)
  })

  it('is whole and in its range', () => {
    expect(readNumber(parse('--timeout=2147483'), 'timeout', 2147483)).toBe(2147483)
    expect(readNumber(parse(), 'timeout', 2147483)).toBeUndefined()
  })
})

describe('a bandwidth', () => {
  it.each(['x', '-5', '50Mb', '1.5', '50M/h', ''])('is not %o', (text) => {
    expect(() => readBandwidth(parse(`--bandwidth=${text}`))).toThrow(UsageError)
  })

  it('needs to be there for --bytes', () => {
    expect(() => readBandwidth(parse('--bytes'))).toThrow(UsageError)
  })

  it.each([
    [['--bandwidth=50'], '50MiB/s'],
    [['--bandwidth=50', '--bytes'], '50B/s'],
    [['--bandwidth=500K'], '500K'],
    [['--bandwidth=50M', '--bytes'], '50M'],
    [['--bandwidth=1.5GiB/s'], '1.5GiB/s'],
    [['--bandwidth=0'], '0MiB/s'],
    [[], undefined],
  ])('of %o is %s to the API', (argv, text) => {
    expect(readBandwidth(parse(...argv))).toBe(text)
  })
})
