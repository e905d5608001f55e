// SPDX-License-Identifier: Apache-2.0
//
// The arguments as they were typed, byte for byte.
//
// Node gives arguments as strings, with U+FFFD in place of bytes that are not UTF-8, and such a file cannot be found.
// The kernel has the bytes. The command keeps them in its strings: a byte that belongs to no character becomes the lone
// half of a surrogate pair (0xff becomes U+DCFF), which UTF-8 never holds. `toPath` turns such a string into a name for
// the API. Pure functions.

import { Buffer } from 'node:buffer'

/** The first surrogate that stands for a byte, minus the first such byte. */
const surrogate = 0xdc00

const kept = /[\udc80-\udcff]/u

/** `argv` with its bytes, where strings have lost some; `commandLine` gives those that the kernel has. */
export function typedArguments(argv: readonly string[], commandLine: () => Buffer): readonly string[] {
  if (!argv.some((argument) => argument.includes('\ufffd'))) return argv
  const all = commandLine().toString('latin1').split('\0').slice(0, -1)
  const typed = all.slice(-argv.length).map((argument) => Buffer.from(argument, 'latin1'))
  // Arguments that were changed since this process began are not trusted.
  const isSame = typed.length === argv.length && typed.every((bytes, index) => bytes.toString() === argv[index])
  return isSame ? typed.map(textOf) : argv
}

/** A string that holds every byte. */
export function textOf(bytes: Uint8Array): string {
  let text = ''
  let at = 0
  while (at < bytes.length) {
    const character = characterAt(bytes, at)
    text += character ?? String.fromCharCode(surrogate + (bytes[at] ?? 0))
    at += character === undefined ? 1 : Buffer.byteLength(character)
  }
  return text
}

function characterAt(bytes: Uint8Array, at: number): string | undefined {
  const lead = bytes[at] ?? 0
  const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  try {
    const character = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(at, at + length))
    return [...character].length === 1 ? character : undefined
  } catch {
    return undefined
  }
}

/** The bytes of a string that holds them. */
export function bytesOf(text: string): Buffer {
  return Buffer.concat(
    [...text].map((character) =>
      kept.test(character) ? Buffer.of(character.charCodeAt(0) - surrogate) : Buffer.from(character),
    ),
  )
}

/** Whether `text` holds bytes that are not UTF-8. */
export function holdsBytes(text: string): boolean {
  return kept.test(text)
}

/** A name from the API, with the bytes that come beside it. */
export function nameOf(name: string, bytes: string | null | undefined): string {
  return bytes == null ? name : textOf(Buffer.from(bytes, 'base64'))
}

/** The path to give to the API for a file that was typed as `text`. */
export function toPath(text: string): string | Buffer {
  return holdsBytes(text) ? bytesOf(text) : text
}
