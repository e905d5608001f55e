// SPDX-License-Identifier: Apache-2.0
//
// What is read from a document's code, and when output counts as the same.

import { describe, expect, it } from 'vitest'
import { commandsOf, exchangesOf } from './code-blocks.js'
import { brokenPromise, isPrinted, promisedLines } from './printed.js'

const place = { file: 'a.md', line: 1 }

describe('a synopsis', () => {
  it('may have two commands on a line and options in brackets', () => {
    const text = 'blockpull pull a [--base FILE] [--dry-run]\nblockpull chain a        blockpull list --connect "b c"\n'
    expect(commandsOf({ ...place, language: 'sh', text })).toEqual([
      { line: 'blockpull pull a', optional: ['--base', '--dry-run'] },
      { line: 'blockpull chain a', optional: [] },
      { line: 'blockpull list --connect "b c"', optional: [] },
    ])
  })

  it('is not any other block', () => {
    expect(commandsOf({ ...place, language: 'sh', text: 'npm run demo\n' })).toEqual([])
    expect(commandsOf({ ...place, language: 'text', text: 'blockpull pull IMAGE\n' })).toEqual([])
  })
})

describe('a transcript', () => {
  it('has commands, each with what it prints', () => {
    const text = '$ export A=b\n$ blockpull list\nDOMAIN\n\nvm0\n'
    expect(exchangesOf({ ...place, language: 'console', text })).toEqual([
      { line: 'export A=b', prints: [] },
      { line: 'blockpull list', prints: ['DOMAIN', '', 'vm0'] },
    ])
  })

  it('begins with a command', () => {
    expect(() => exchangesOf({ ...place, language: 'console', text: 'DOMAIN\n' })).toThrow('begins with no command')
  })

  it('is right whatever the times, the rates and the process ids are', () => {
    const said = 'a: pulled, 48.0 MiB moved in 0.07 s (667.8 MiB/s, io_uring)'
    expect(isPrinted([said], ['a: pulled, 48.0 MiB moved in 12.1 s (4.0 MiB/s, threads)'])).toBe(true)
    expect(isPrinted(['in use by pid 1 (a)'], ['in use by pid 22 (a)'])).toBe(true)
  })

  it('is wrong where a size, a word or a line differs', () => {
    const said = 'a: pulled, 48.0 MiB moved in 0.07 s (667.8 MiB/s, io_uring)'
    expect(isPrinted([said], [said.replace('48.0', '47.0')])).toBe(false)
    expect(isPrinted([said], [said.replace('pulled', 'filled')])).toBe(false)
    expect(isPrinted([said], [said, said])).toBe(false)
    expect(isPrinted([said], [])).toBe(false)
    expect(isPrinted(['limit: 4.0 MiB/s'], ['limit: 5.0 MiB/s'])).toBe(false)
    expect(isPrinted(['{"event":"end","bytesMoved":1}'], ['{"event":"end","bytesMoved":2}'])).toBe(false)
  })

  it('may leave lines out', () => {
    expect(isPrinted(['a', '...', 'z'], ['a', 'b', 'c', 'z'])).toBe(true)
    expect(isPrinted(['a', '...', 'z'], ['a', 'z'])).toBe(true)
    expect(isPrinted(['a', '...'], ['a', 'b'])).toBe(true)
    expect(isPrinted(['a', '...', 'z'], ['a', 'b'])).toBe(false)
  })
})

describe('a script', () => {
  const promised = promisedLines('a() // => 1 of ...\nb() // => (x)\n')

  it('prints what its comments say, in their order, among other lines', () => {
    expect(brokenPromise(promised, 'other\n1 of 3\n(x)\n')).toBe(null)
    expect(brokenPromise(promised, '(x)\n1 of 3\n')).toEqual(promised[1])
    expect(brokenPromise(promised, '11 of 3\n(x)\n')).toEqual(promised[0])
  })
})
