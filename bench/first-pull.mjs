// SPDX-License-Identifier: Apache-2.0
//
// How long is it from an empty folder to the first pull that has ended? A packed package is installed by npm, then npx
// pulls an overlay with data below it. Figures are medians of the wall time of each command.
//
//     npm pack && node bench/first-pull.mjs blockpull-0.2.0.tgz [--mebibytes 64] [--rounds 5]
//
// npm's cache is as it is: the loader of the addon, which is the one dependency, comes from it or from the network.

import { execFileSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  options: { mebibytes: { type: 'string', default: '64' }, rounds: { type: 'string', default: '5' } },
  allowPositionals: true,
})
const [tarball] = positionals
if (tarball === undefined) {
  console.error('first-pull: the tarball is missing; usage: node bench/first-pull.mjs TARBALL')
  process.exit(2)
}

const steps = [
  ['npm', 'install', '--no-audit', '--no-fund', resolve(tarball)],
  ['npx', 'blockpull', 'create', 'overlay.qcow2', '--backing', 'base.img', '--backing-format', 'raw'],
  ['npx', 'blockpull', 'pull', 'overlay.qcow2'],
]

/** Seconds of each step, in a folder that is empty but for the base. */
function round() {
  const folder = mkdtempSync(join(tmpdir(), 'blockpull-first-pull-'))
  try {
    writeFileSync(join(folder, 'base.img'), randomFillSync(Buffer.alloc(Number(values.mebibytes) << 20)))
    return steps.map(([program = '', ...args]) => {
      const start = performance.now()
      execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
      return (performance.now() - start) / 1000
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** @param {number[]} numbers */
function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0
}

const rounds = Array.from({ length: Number(values.rounds) }, round)
const whole = rounds.map((times) => times.reduce((sum, time) => sum + time, 0))
const rows = steps.map(([program, verb, name], index) => {
  const times = rounds.map((round) => round[index] ?? 0)
  return `| \`${verb === 'install' ? 'npm install' : `${program} ${verb} ${name}`}\` | ${median(times).toFixed(2)} s |`
})
console.log(`tarball of ${(statSync(tarball).size / 1e6).toFixed(1)} MB, ${values.mebibytes} MiB to pull\n`)
console.log(['| step | wall |', '| --- | --- |', ...rows, `| all | ${median(whole).toFixed(2)} s |`].join('\n'))
