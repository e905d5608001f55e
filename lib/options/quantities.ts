// SPDX-License-Identifier: Apache-2.0
//
// Quantities written with their unit: '50MiB/s', '500K', '1.5GiB'.
//
// K, M, G, T, P and E (also KiB, MiB, ...) are powers of 1024, KB, MB, ... powers of 1000, as in libvirt and
// QEMU. A small 'b' is refused, for it usually means bits. A fraction is rounded down to whole bytes. A bandwidth
// without a unit is refused too, since libvirt counts in MiB/s and everybody else in bytes; 0, no limit, is the
// same in both. Exact arithmetic on bigints; pure functions.

import { maxBytes, outOfRange, wrongType } from './argument-checks.js'

const grammar = /^(\d{1,19})(?:\.(\d{1,18}))?\s*(?:([kKmMgGtTpPeE])(iB|B)?|B)?$/

/** Bytes of a size such as '10GiB' or '65536'. */
export function parseSize(name: string, text: string): bigint {
  const bytes = parseBytes(text.trim())
  if (bytes === null) throw wrongType(name, text, "a size such as '10GiB', '512M' or '65536'")
  if (bytes > maxBytes) throw outOfRange(name, text, `at most ${maxBytes} bytes`)
  return bytes
}

/** Bytes a second of a bandwidth such as '50MiB/s' or '500K'. */
export function parseBandwidth(name: string, text: string): bigint {
  const expected = "a string with a unit, such as '50MiB/s', '500K' or '1.5GiB/s'"
  const amount = text.trim().replace(/\s*(\/s|ps)$/, '')
  const bytes = parseBytes(amount)
  if (bytes === null || (bytes !== 0n && /^[\d.]+$/.test(amount))) throw wrongType(name, text, expected)
  if (bytes > maxBytes) throw outOfRange(name, text, `at most ${maxBytes} bytes a second`)
  if (bytes === 0n && /[1-9]/.test(amount)) throw outOfRange(name, text, "at least '1B/s', or '0' for no limit")
  return bytes
}

function parseBytes(text: string): bigint | null {
  const match = grammar.exec(text)
  if (match === null) return null
  const [, whole = '', fraction = '', prefix = '', suffix = ''] = match
  const power = prefix === '' ? 0 : 'KMGTPE'.indexOf(prefix.toUpperCase()) + 1
  const unit = (suffix === 'B' ? 1000n : 1024n) ** BigInt(power)
  return (BigInt(whole + fraction) * unit) / 10n ** BigInt(fraction.length)
}
