// SPDX-License-Identifier: Apache-2.0
//
// Runs every reproducer on the QEMU at hand and prints the column of docs/qemu-defects.md that it makes:
//
//     BLOCKPULL_QEMU_DIR=DIR node test/qemu-defects/run-all.mjs
//
// Ends with 1 if one of them could not tell.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const verdicts = new Map([
  [0, 'present'],
  [3, 'absent'],
])
const others = new Set(['reproduce.mjs', 'run-all.mjs'])
const here = new URL('./', import.meta.url)

const rows = readdirSync(here)
  .filter((name) => name.endsWith('.mjs') && !others.has(name))
  .map((name) => {
    const { status, stdout } = spawnSync(process.execPath, [new URL(name, here).pathname], { encoding: 'utf8' })
    return { name: name.replace(/\.mjs$/, ''), verdict: verdicts.get(status ?? 1) ?? 'cannot tell', stdout }
  })

const version = /^QEMU \d+\.\d+/.exec(rows[0]?.stdout ?? '')?.[0] ?? 'QEMU'
console.log(`| reproducer | ${version} |\n| --- | --- |`)
for (const { name, verdict } of rows) console.log(`| \`${name}\` | ${verdict} |`)
const unclear = rows.filter(({ verdict }) => verdict === 'cannot tell')
for (const { stdout } of unclear) console.log(`\n${stdout}`)
process.exitCode = unclear.length > 0 ? 1 : 0
