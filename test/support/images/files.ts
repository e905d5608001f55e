// SPDX-License-Identifier: Apache-2.0
//
// Looks at files as a whole: their digest, and the bytes of the disk that they take. Reads a file at once, so it
// is for the small images of tests.

import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'

export function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** Digests of several files, in order, in one string: equal only if no byte of any has changed. */
export function digestsOf(paths: readonly string[]): string {
  return paths.map((path) => `${path} ${digestOf(path)}`).join('\n')
}

/** Bytes of the disk that the file takes, holes left out. */
export function bytesOnDisk(path: string): number {
  return statSync(path).blocks * 512
}

/** Writes bytes over what lies at `offset`. */
export function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+')
  try {
    writeSync(file, bytes, 0, bytes.length, offset)
  } finally {
    closeSync(file)
  }
}

/** A big-endian number of `length` bytes. */
export function bigEndian(value: bigint | number, length: 4 | 8): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)))
  return bytes.subarray(8 - length)
}
