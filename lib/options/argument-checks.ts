// SPDX-License-Identifier: Apache-2.0
//
// Checks of single arguments: the type, the range of one value, the keys of an options object.
//
// A wrong type is a TypeError, a value out of range a RangeError. Each names the argument, what arrived and what was
// expected. This file checks only the shape of input. The addon checks the meaning (whether the disk exists, whether
// the flags go together), so that both layers and the C library answer alike. Pure functions.

import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import type { NativePath } from '../native.js'
import { nearest } from '../words/nearest.js'

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
  if (/\p{Surrogate}/u.test(value)) throw wrongType(name, value, `${expected} of complete Unicode characters`)
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

/** A path as a string or as bytes; a `file:` URL will do. */
export function checkPath(
  name: string,
  value: unknown,
  expected = 'a path as string, Buffer or file: URL',
): NativePath {
  const path = value instanceof URL ? pathOfUrl(value) : value
  if (!(path instanceof Uint8Array)) return checkFilled(name, path, expected)
  if (path.length === 0) throw wrongType(name, path, `${expected}, not an empty one`)
  if (path.includes(0)) throw wrongType(name, path, `${expected} without a NUL`)
  return Buffer.from(path)
}

/** Percent signs may stand for bytes that are not UTF-8, which `fileURLToPath` refuses. */
function pathOfUrl(url: URL): NativePath {
  try {
    return fileURLToPath(url)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    const bytes = url.pathname.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
      String.fromCharCode(Number(`0x${digits}`)),
    )
    return Buffer.from(bytes, 'latin1')
  }
}

export function checkPathOrNull(name: string, value: unknown): NativePath | null {
  return value === undefined || value === null ? null : checkPath(name, value)
}

export function checkPathsOrNull(name: string, value: unknown, expected: string): readonly NativePath[] | null {
  if (value === undefined || value === null) return null
  if (!Array.isArray(value)) throw wrongType(name, value, expected)
  return value.map((item, index) => checkPath(`${name}[${index}]`, item))
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

/** A number that C's int holds; the addon checks its meaning. */
export function checkInt(name: string, value: unknown, expected: string): number {
  if (typeof value !== 'number') throw wrongType(name, value, expected)
  if (!Number.isInteger(value) || Math.abs(value) >= 2 ** 31) throw outOfRange(name, value, expected)
  return value
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
