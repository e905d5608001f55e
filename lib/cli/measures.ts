// SPDX-License-Identifier: Apache-2.0
//
// Sizes, rates and times as people read them: '1.2 GiB', '50.0 MiB/s', '1:02:03'.
//
// All units are binary, with one decimal, so that columns and a redrawn line keep their width. Programs use `--json`,
// which gives plain numbers. Sizes come as bigints, since a command serves images of every size; the output is rounded
// anyway. Pure functions.

import { padded, shown, widthOf } from './shown.js'

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const

/** A size as the API gives it, either way. */
export type Amount = number | bigint

export function formatBytes(bytes: Amount): string {
  let value = Number(bytes)
  let power = 0
  while (value >= 1023.95 && power < units.length - 1) {
    value /= 1024
    power += 1
  }
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`
}

export function formatRate(bytesPerSecond: Amount): string {
  return `${formatBytes(Math.round(Number(bytesPerSecond)))}/s`
}

/** A limit in full; 0 is 'none'. */
export function formatLimit(bytesPerSecond: Amount): string {
  return Number(bytesPerSecond) === 0 ? 'none' : `${formatRate(bytesPerSecond)} (${bytesPerSecond} bytes a second)`
}

/** 'm:ss' or 'h:mm:ss'. */
export function formatClock(seconds: number): string {
  const whole = Math.ceil(seconds)
  const two = (value: number) => String(value).padStart(2, '0')
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`
}

/** '0.03 s', '12.4 s', or a clock from two minutes on. */
export function formatSeconds(seconds: number): string {
  if (seconds >= 120) return formatClock(seconds)
  return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`
}

export function formatShare(part: Amount, whole: Amount): string {
  return whole > 0 ? `${((Number(part) / Number(whole)) * 100).toFixed(1)} %` : '-'
}

/** Columns side by side, as wide as their widest cell; `right` names the ones aligned right. */
export function formatTable(named: readonly (readonly string[])[], right: readonly number[] = []): string {
  const rows = named.map((row) => row.map(shown))
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(cell))
    })
  }
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return padded(cell, width, right.includes(column))
      })
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}
