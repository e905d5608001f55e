// SPDX-License-Identifier: Apache-2.0
//
// How long does it take to walk the tables of a disk that a guest has written all over? `inspectChain` and `plan` are
// asked about chains with one fragmented image of many terabytes, each cluster of which has an answer of its own, with
// the tables in the page cache; beside each question the event loop and `fs.readFile` are watched. `--qemu`
// lets `qemu-img measure` walk the tables of the last chain, which takes minutes.
//
//     node bench/table-walks.mjs [--tebibytes 8] [--rounds 5] [--folder DIR] [--qemu]
//
// The images are tables alone (see mapped-image.mjs) and take about 3 GiB of the folder for 8 TiB. Prints a Markdown
// table: medians of the rounds for times, the worst of all rounds for delays.

import { execFile } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { createImage, inspectChain, plan } from '../dist/index.js'
import { writeMapped } from './mapped-image.mjs'

const { values } = parseArgs({
  options: {
    tebibytes: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '5' },
    folder: { type: 'string', default: tmpdir() },
    qemu: { type: 'boolean', default: false },
  },
})
const size = Number(values.tebibytes) * 2 ** 40
const folder = mkdtempSync(join(values.folder, 'blockpull-bench-'))
const image = (/** @type {string} */ name) => join(folder, name)
const small = image('small')

/** @param {string} name @param {number} every @param {string} [backing] its name, a colon and its format */
function mapped(name, every, backing) {
  const [backingFile, backingFormat] = backing?.split(':') ?? []
  writeMapped(image(name), { size, every, ...(backingFile && backingFormat ? { backingFile, backingFormat } : {}) })
}

/** Tables, refcounts and header, all in front of the data. @param {string} name */
function intoPageCache(name) {
  const file = openSync(image(name), 'r')
  const buffer = Buffer.alloc(2 ** 22)
  const tableBytes = (size / 2 ** 16) * 8
  const refcountBytes = (size / 2 ** 16) * 2
  for (let at = 0; at < tableBytes + refcountBytes + 2 ** 22; at += buffer.length) {
    readSync(file, buffer, 0, buffer.length, at)
  }
  closeSync(file)
}

/** Times `ask`, and `fs.readFile` of a small file again and again beside it; all in milliseconds.
 * @param {() => Promise<unknown>} ask */
async function watched(ask) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  let isOver = false
  let longestRead = 0
  const reads = (async () => {
    while (!isOver) {
      const start = performance.now()
      await readFile(small)
      longestRead = Math.max(longestRead, performance.now() - start)
      await sleep(1)
    }
  })()
  const start = performance.now()
  await ask()
  const took = performance.now() - start
  isOver = true
  await reads
  delay.disable()
  return { took, longestRead, loop: delay.max / 1e6 }
}

/** @param {number[]} numbers */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN

/** @param {string} what @param {string[]} names the chain, top first @param {() => Promise<unknown>} ask */
async function row(what, names, ask) {
  const rounds = []
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const name of names.filter((each) => each.startsWith('mapped'))) intoPageCache(name)
    rounds.push(await watched(ask))
  }
  const took = median(rounds.map((round) => round.took)) / 1000
  const loop = Math.max(...rounds.map((round) => round.loop))
  const read = Math.max(...rounds.map((round) => round.longestRead))
  console.log(`| ${what} | ${took.toFixed(2)} s | ${loop.toFixed(1)} ms | ${read.toFixed(1)} ms |`)
}

/** @param {string} what @param {string[]} names */
async function rows(what, ...names) {
  const active = image(names[0] ?? '')
  await row(`${what}: \`inspectChain\``, names, () => inspectChain(active))
  await row(`${what}: \`plan\``, names, () => plan(active))
}

const measureByQemu = () => promisify(execFile)('qemu-img', ['measure', '-O', 'qcow2', '-f', 'qcow2', image('mapped')])

try {
  writeFileSync(small, 'x')
  writeFileSync(image('empty.raw'), '')
  truncateSync(image('empty.raw'), size)
  await createImage(image('empty'), { size })
  mapped('mapped-below', 2)
  await createImage(image('over'), { size, backingFile: 'mapped-below', backingFormat: 'qcow2' })
  console.log(`${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}, load ${loadavg()[0]}\n`)
  console.log(
    '| chain and question | time | longest delay of the event loop | of `fs.readFile` |\n| --- | --- | --- | --- |',
  )
  await rows('an empty overlay over it', 'over', 'mapped-below')
  for (const [told, backing] of [
    ['it, over an empty qcow2 image', 'empty:qcow2'],
    ['it, over an empty raw image', 'empty.raw:raw'],
  ]) {
    mapped('mapped', 2, backing)
    await rows(told ?? '', 'mapped', backing?.split(':')[0] ?? '')
  }
  rmSync(image('mapped-below'))
  mapped('mapped-full', 1)
  mapped('mapped', 2, 'mapped-full:qcow2')
  await rows('it, over a full qcow2 image', 'mapped', 'mapped-full')
  if (values.qemu) {
    intoPageCache('mapped')
    const { took } = await watched(measureByQemu)
    console.log(`| the same: \`qemu-img measure\` | ${(took / 1000).toFixed(0)} s | | |`)
  }
} finally {
  rmSync(folder, { recursive: true })
}
