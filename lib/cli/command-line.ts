// SPDX-License-Identifier: Apache-2.0
//
// The arguments as they were typed, byte for byte.
//
// Node gives arguments as strings, and U+FFFD in place of bytes that are no UTF-8: the file they name is then not to
// be found. The kernel has the bytes. They are kept in the strings that the command works with, each byte that belongs
// to no character as the lone half of a surrogate pair (0xff as U+DCFF), which no UTF-8 holds. `toPath` makes a name
// for the API of such a string. Pure functions.

import { Buffer } from 'node:buffer'

/** The first of the surrogates that stand for bytes, less the first such byte. */
const surrogate = 0xdc00

const kept = /[\udc80-\udcff]/u

/** `argv` with its bytes, where strings have lost some; `commandLine` gives those that the kernel has. */
export function typedArguments(argv: readonly string[], commandLine: () => Buffer): readonly string[] {
  if (!argv.some((argument) => argument.includes('\ufffd'))) return argv
  const all = commandLine().toString('latin1').split('\0').slice(0, -1)
  const typed = all.slice(-argv.length).map((argument) => Buffer.from(argument, 'latin1'))
  // What was changed since this process began is not believed.
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

/** Whether `text` holds bytes that are no UTF-8. */
export function holdsBytes(text: string): boolean {
  return kept.test(text)
}

/** A name that the API tells, with the bytes that go beside it. */
export function nameOf(name: string, bytes: string | null | undefined): string {
  return bytes == null ? name : textOf(Buffer.from(bytes, 'base64'))
}

/** What the API takes for a file that was named by `text`. */
export function toPath(text: string): string | Buffer {
  return holdsBytes(text) ? bytesOf(text) : text
}
