// SPDX-License-Identifier: Apache-2.0
//
// Single arguments: each wrong type and value is refused in a sentence that names it, what arrived, what was meant.

import { describe, expect, it } from 'vitest'
import * as check from '../../../lib/options/argument-checks.js'

describe('a string argument', () => {
  it.each([[1], [null], [undefined], [{}], [['a']], [Symbol('s')], [() => 'a']])('refuses %o', (value) => {
    expect(() => check.checkString('disk', value)).toThrow(TypeError)
    expect(() => check.checkString('disk', value)).toThrow(/^disk is .*; expected a string$/)
  })

  it('refuses a NUL character and half of a surrogate pair, which would be another name below', () => {
    expect(() => check.checkString('path', 'a\0b')).toThrow(/without a NUL/)
    expect(() => check.checkString('path', 'a\ud800b')).toThrow(/complete Unicode/)
    expect(check.checkString('path', 'a😀b')).toBe('a😀b')
  })

  it('shortens what it shows', () => {
    expect(() => check.checkBoolean('async', 'x'.repeat(1000))).toThrow(/^async is .{1,100}; expected/)
  })
})

describe('a whole number argument', () => {
  it.each([['1'], [true], [null], [{}]])('refuses the type of %o', (value) => {
    expect(() => check.checkWhole('flags', value, 10n, 'a number')).toThrow(TypeError)
  })

  it.each([[-1], [-1n], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY], [11], [11n], [2 ** 53]])(
    'refuses the value %s',
    (value) => {
      expect(() => check.checkWhole('flags', value, 10n, 'a number')).toThrow(RangeError)
    },
  )

  it('takes numbers and bigints up to its limit', () => {
    expect(check.checkWhole('flags', 10, 10n, 'a number')).toBe(10n)
    expect(check.checkWhole('flags', 2n ** 63n - 1n, check.maxBytes, 'a number')).toBe(2n ** 63n - 1n)
  })
})

describe('an options object', () => {
  it.each([[null], ['x'], [1], [[]]])('refuses %o in its place', (value) => {
    expect(() => check.checkOptions('pullImage', value as unknown as object, [])).toThrow(/^options of pullImage is/)
  })

  it('refuses an unknown key and names the one that was meant', () => {
    const options = { bandwith: '1M' } as { bandwidth?: string }
    expect(() => check.checkOptions('pullImage', options, ['bandwidth'])).toThrow(
      "option 'bandwith' is unknown to pullImage; did you mean 'bandwidth'?",
    )
  })

  it('lists the known options if no name is near', () => {
    const options = { zzz: 1 } as { base?: string; signal?: string }
    expect(() => check.checkOptions('blockPull', options, ['base', 'signal'])).toThrow(/it takes base, signal$/)
  })

  it('may be left out', () => {
    expect(check.checkOptions('pullImage', undefined, [])).toEqual({})
  })
})

describe('a signal argument', () => {
  it.each([[null], ['x'], [{}], [new AbortController()]])('refuses %o', (value) => {
    expect(() => check.checkSignal('signal', value)).toThrow(TypeError)
  })

  it('takes an AbortSignal and its absence', () => {
    const { signal } = new AbortController()
    expect(check.checkSignal('signal', signal)).toBe(signal)
    expect(check.checkSignal('signal', undefined)).toBeNull()
  })
})
