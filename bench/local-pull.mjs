// SPDX-License-Identifier: Apache-2.0
//
// How fast is a pull of a shut-off local disk, beside QEMU's own two ways? The same overlay, fresh each time, is
// filled from the same base by blockpull, by `qemu-img rebase -b ""` and by qemu-storage-daemon's block-stream, all
// with direct I/O. The tools take turns within a round and each round begins with another, so that a change in the
// machine's mood hits all of them. Figures are medians; wall and CPU time and peak memory are the whole process's,
// and what Node costs before the command begins is measured beside it and shown.
//
//     node bench/local-pull.mjs [--mebibytes 2048] [--rounds 5] [--folder DIR] [--against CHECKOUT]
//
// With --against the other tools stay away: this checkout is measured beside another, built one, and the ratio of CPU
// time in each round is printed, with its quartiles.
//
// Prints a table in Markdown, the machine and the command that made it.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeQcow2 } from '../test/support/images/qcow2-builder.mjs'
import { measured } from './measured-process.mjs'

/** @typedef {import('./measured-process.mjs').Cost} Cost */

const { values } = parseArgs({
  options: {
    mebibytes: { type: 'string', default: '2048' },
    rounds: { type: 'string', default: '5' },
    folder: { type: 'string', default: tmpdir() },
    against: { type: 'string' },
  },
})
const size = Number(values.mebibytes) * 2 ** 20
const command = join(dirname(fileURLToPath(import.meta.url)), '../dist/cli/main.js')
const folder = mkdtempSync(join(values.folder, 'blockpull-bench-'))
const base = join(folder, 'base.qcow2')
const overlay = join(folder, 'overlay.qcow2')

/** Data in every cluster, no two neighbours alike, none of it zero. */
function writeBase() {
  const clusterSize = 2 ** 16
  const pool = randomBytes(64 * clusterSize + 4096)
  const clusters = new Map(
    Array.from({ length: size / clusterSize }, (_, index) => {
      const from = (index % 64) * clusterSize + (Math.floor(index / 64) % 4096)
      return [index, { data: pool.subarray(from, from + clusterSize) }]
    }),
  )
  writeQcow2(base, { size, clusters })
}

/** @returns {Promise<Cost>} */
function blockStream() {
  const file = (/** @type {string} */ name, /** @type {string} */ path) =>
    `driver=file,node-name=${name},filename=${path},cache.direct=on`
  const daemon = ['qemu-storage-daemon', '--chardev', 'stdio,id=m', '--monitor', 'chardev=m']
  const graph = [
    ['--blockdev', file('base-file', base)],
    ['--blockdev', 'driver=qcow2,node-name=base,file=base-file,cache.direct=on,read-only=on'],
    ['--blockdev', file('overlay-file', overlay)],
    ['--blockdev', 'driver=qcow2,node-name=overlay,file=overlay-file,backing=base,cache.direct=on'],
  ]
  const start = { execute: 'block-stream', arguments: { 'job-id': 'pull', device: 'overlay' } }
  return measured(
    [...daemon, ...graph.flat()],
    (line, send) => {
      if (line.includes('"BLOCK_JOB_COMPLETED"')) {
        send('{"execute":"quit"}\n')
      }
    },
    `{"execute":"qmp_capabilities"}\n${JSON.stringify(start)}\n`,
  )
}

/** @param {string} script */
const blockpull = (script) => () => measured([process.execPath, script, 'pull', '--quiet', overlay])

/** @type {Record<string, () => Promise<Cost>>} */
const tools =
  values.against === undefined
    ? {
        blockpull: blockpull(command),
        'qemu-img rebase': () =>
          measured(['qemu-img', 'rebase', '-f', 'qcow2', '-t', 'none', '-T', 'none', '-b', '', overlay]),
        'QEMU block-stream': blockStream,
      }
    : { blockpull: blockpull(command), 'the other checkout': blockpull(join(values.against, 'dist/cli/main.js')) }

/** @param {string} name */
async function once(name) {
  writeQcow2(overlay, { size, backingFile: base, backingFormat: 'qcow2' })
  execFileSync('sync')
  const cost = await tools[name]?.()
  const info = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', overlay], { encoding: 'utf8' }))
  if (info['backing-filename'] !== undefined || info['actual-size'] < size) {
    throw new Error(`${name} did not pull everything`)
  }
  execFileSync('qemu-img', ['check', '-q', overlay])
  return cost ?? { seconds: NaN, cpuSeconds: NaN, peakBytes: NaN }
}

/** @param {number[]} numbers */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN

/** @param {string} name @param {Cost[]} costs */
function row(name, costs) {
  const seconds = median(costs.map((cost) => cost.seconds))
  const cpu = median(costs.map((cost) => cost.cpuSeconds))
  const peak = median(costs.map((cost) => cost.peakBytes)) / 2 ** 20
  const all = costs.map((cost) => cost.seconds.toFixed(2)).join(' ')
  console.log(`| ${name} | ${seconds.toFixed(2)} s | ${cpu.toFixed(2)} s | ${peak.toFixed(0)} MiB | ${all} |`)
}

/** The ratio in each round: the machine's mood hits both sides of it. @param {Cost[]} ours @param {Cost[]} theirs */
function ratio(ours, theirs) {
  const ratios = ours
    .map((cost, round) => cost.cpuSeconds / (theirs[round]?.cpuSeconds ?? NaN))
    .toSorted((a, b) => a - b)
  const at = (/** @type {number} */ part) => (ratios[Math.floor(part * (ratios.length - 1))] ?? NaN).toFixed(2)
  console.log(`\nCPU time, this checkout to the other: ${at(0.5)} (quartiles ${at(0.25)} to ${at(0.75)})`)
}

async function run() {
  writeBase()
  const names = Object.keys(tools)
  /** @type {Map<string, Cost[]>} */
  const costs = new Map(names.map((name) => [name, []]))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] ?? ''
      costs.get(name)?.push(await once(name))
    }
  }
  const start = [await measured([process.execPath, command, '--version'])]
  const qemu = execFileSync('qemu-img', ['--version'], { encoding: 'utf8' }).split('\n')[0]
  console.log(`${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}, ${qemu}, Node ${process.versions.node}`)
  console.log(`node bench/local-pull.mjs --mebibytes ${values.mebibytes} --rounds ${values.rounds}\n`)
  console.log('| tool | wall | CPU | peak memory | every round |')
  console.log('| --- | --- | --- | --- | --- |')
  for (const [name, list] of costs) {
    row(name, list)
  }
  row('of which Node before the command', start)
  const other = costs.get('the other checkout')
  if (other !== undefined) {
    ratio(costs.get('blockpull') ?? [], other)
  }
}

process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
await run()
