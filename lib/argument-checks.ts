// SPDX-License-Identifier: Apache-2.0
//
// Checks of single arguments: the type, the range of one value, the keys of an options object.
//
// A wrong type is a TypeError, a value out of range a RangeError; each names the argument, what arrived and what
// was expected. Only the shape of input is judged here. What it means (does the disk exist, do these flags go
// together) is asked of the addon, so that both layers and the C library answer alike. Pure functions.

import { inspect } from 'node:util'
import { nearest } from './nearest.js'

/** The largest count of bytes, or of bytes a second, that libvirt and QEMU take. */
export const maxBytes = 2n ** 63n - 1n

/** A short rendering of what arrived, for messages. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  const text = inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60 })
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

export function wrongType(name: string, value: unknown, expected: string): TypeError {
  return new TypeError(`${name} is ${shown(value)}; expected ${expected}`)
}

export function outOfRange(name: string, value: unknown, expected: string): RangeError {
  return new RangeError(`${name} is ${shown(value)}; expected ${expected}`)
}

/** A string that the addon can take as it is: no NUL, no half of a surrogate pair. */
export function checkString(name: string, value: unknown, expected = 'a string'): string {
  if (typeof value !== 'string') throw wrongType(name, value, expected)
  if (value.includes('\0')) throw wrongType(name, value, `${expected} without a NUL character`)
  if (/\p{Surrogate}/u.test(value)) throw wrongType(name, value, `${expected} of whole Unicode characters`)
  return value
}

export function checkStringOrNull(name: string, value: unknown, expected = 'a string or null'): string | null {
  return value === undefined || value === null ? null : checkString(name, value, expected)
}

export function checkFilled(name: string, value: unknown, expected: string): string {
  const text = checkString(name, value, expected)
  if (text === '') throw wrongType(name, text, `${expected}, not an empty one`)
  return text
}

export function checkStringsOrNull(name: string, value: unknown, expected: string): readonly string[] | null {
  if (value === undefined || value === null) return null
  if (!Array.isArray(value)) throw wrongType(name, value, expected)
  return value.map((item, index) => checkFilled(`${name}[${index}]`, item, 'a string'))
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw wrongType(name, value, 'true or false')
  return value
}

/** A whole number from 0 to `most`, given as number or bigint. */
export function checkWhole(name: string, value: unknown, most: bigint, expected: string): bigint {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw wrongType(name, value, expected)
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw outOfRange(name, value, expected)
  const whole = BigInt(value)
  if (whole < 0n || whole > most) throw outOfRange(name, value, expected)
  return whole
}

export function checkFunction<T>(name: string, value: T, expected: string): T {
  if (typeof value !== 'function') throw wrongType(name, value, expected)
  return value
}

export function checkSignal(name: string, value: unknown): AbortSignal | null {
  if (value === undefined) return null
  const signal = value as AbortSignal | null
  if (typeof signal !== 'object' || signal === null || typeof signal.aborted !== 'boolean') {
    throw wrongType(name, value, 'an AbortSignal')
  }
  return signal
}

export function checkObject(name: string, value: unknown, expected: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(name, value, expected)
}

/** An options object with known keys only; `undefined` stands for none at all. */
export function checkOptions<T extends object>(call: string, options: T | undefined, keys: readonly (keyof T)[]): T {
  if (options === undefined) return {} as T
  checkObject(`options of ${call}`, options, 'an object')
  for (const key of Object.keys(options)) {
    if (keys.includes(key as keyof T)) continue
    const near = nearest(key, keys as readonly string[])
    const hint = near === null ? `it takes ${keys.join(', ')}` : `did you mean '${near}'?`
    throw new TypeError(`option '${key}' is unknown to ${call}; ${hint}`)
  }
  return options
}
