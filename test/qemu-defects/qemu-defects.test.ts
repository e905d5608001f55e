// SPDX-License-Identifier: Apache-2.0
//
// docs/qemu-defects.md says which QEMU has which defect, in one table with a column for each version. Every
// reproducer is run here on the QEMU at hand and must say what that table says.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { run, runWell } from '../support/processes/run-program.js'
import { qemuProgram } from '../support/qemu/qemu-process.mjs'

const here = import.meta.dirname
const doc = readFileSync(join(here, '../../docs/qemu-defects.md'), 'utf8')
const exitCodes: Readonly<Record<string, number>> = { present: 0, absent: 3 }

const reproducers = readdirSync(here)
  .filter((name) => name.endsWith('.mjs') && name !== 'reproduce.mjs' && name !== 'run-all.mjs')
  .map((name) => name.replace(/\.mjs$/, ''))

const rows = doc
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
const header = rows.find(([first]) => first === 'reproducer') ?? []

/** What the table says of a reproducer on a version such as '7.2'. */
function verdictFor(reproducer: string, version: string): string | undefined {
  const column = header.indexOf(`QEMU ${version}`)
  if (column === -1) {
    throw new Error(
      `docs/qemu-defects.md has no column for QEMU ${version}: add what test/qemu-defects/run-all.mjs prints`,
    )
  }
  return rows.find(([first]) => first === `\`${reproducer}\``)?.[column]
}

async function installedVersion(): Promise<string> {
  const text = await runWell(qemuProgram('qemu-img'), ['--version'])
  return /version (\d+\.\d+)/.exec(text)?.[1] ?? text
}

describe('docs/qemu-defects.md is right about QEMU', () => {
  test('its table has a row for each reproducer and no other', () => {
    const named = rows
      .slice(rows.indexOf(header) + 2, rows.indexOf(header) + 2 + reproducers.length)
      .map(([name]) => name)
    expect(named.sort()).toEqual(reproducers.map((name) => `\`${name}\``).sort())
  })

  test('a version that is not in the table is refused', () => {
    expect(() => verdictFor('not-crash-durable', '0.9')).toThrow('no column for QEMU 0.9')
  })

  test.each(reproducers)('%s ends on this QEMU as the table says', async (reproducer) => {
    const expected = verdictFor(reproducer, await installedVersion()) ?? 'nothing'
    const { code, stdout, stderr } = await run(process.execPath, [join(here, `${reproducer}.mjs`)])
    expect(code, `the table says '${expected}':\n${stdout}${stderr}`).toBe(exitCodes[expected])
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`defect ${expected}`)
  })
})
