// SPDX-License-Identifier: Apache-2.0
//
// Quantities with units: what is no quantity, what is too much, what each unit means.

import { describe, expect, it } from 'vitest'
import { parseBandwidth, parseSize } from '../../../lib/options/quantities.js'

describe('a bandwidth', () => {
  it.each([
    [''],
    ['fast'],
    ['-1M'],
    ['1,5M'],
    ['0x10M'],
    ['1e3M'],
    ['50Mb/s'],
    ['50Mbit/s'],
    ['50 apples'],
    ['M'],
    ['1.M'],
  ])('refuses %o', (text) => {
    expect(() => parseBandwidth('bandwidth', text)).toThrow(TypeError)
  })

  it('refuses a number without a unit, since libvirt and everybody else disagree about it', () => {
    expect(() => parseBandwidth('bandwidth', '50')).toThrow(
      "bandwidth is '50'; expected a string with a unit, such as '50MiB/s', '500K' or '1.5GiB/s'",
    )
  })

  it('refuses what is more than libvirt can say, and less than a byte', () => {
    expect(() => parseBandwidth('bandwidth', '8E')).toThrow(RangeError)
    expect(() => parseBandwidth('bandwidth', '0.1B/s')).toThrow(RangeError)
    expect(parseBandwidth('bandwidth', '9223372036854775807B/s')).toBe(2n ** 63n - 1n)
  })

  it.each([
    ['50MiB/s', 50n << 20n],
    ['50M', 50n << 20n],
    ['50 MiB/s', 50n << 20n],
    ['500K', 500n << 10n],
    ['500k', 500n << 10n],
    ['1.5GiB/s', 3n << 29n],
    ['1T', 1n << 40n],
    ['50MB/s', 50_000_000n],
    ['1KB', 1000n],
    ['7B/s', 7n],
    ['7Bps', 7n],
    ['0', 0n],
    ['0M', 0n],
    ['0.0015K', 1n],
  ])('reads %s', (text, bytes) => {
    expect(parseBandwidth('bandwidth', text)).toBe(bytes)
  })
})

describe('a size', () => {
  it.each([[''], ['big'], ['-1'], ['1 G B'], ['10Gb']])('refuses %o', (text) => {
    expect(() => parseSize('size', text)).toThrow(TypeError)
  })

  it('refuses what is more than a file can hold', () => {
    expect(() => parseSize('size', '8E')).toThrow(RangeError)
  })

  it.each([
    ['65536', 65536n],
    ['64K', 65536n],
    ['10GiB', 10n << 30n],
    ['0', 0n],
    ['16T', 16n << 40n],
  ])('reads %s', (text, bytes) => {
    expect(parseSize('size', text)).toBe(bytes)
  })
})
