// SPDX-License-Identifier: Apache-2.0
//
// What a service sees: what many jobs in one process cost, how quickly it answers meanwhile, how well limits are kept.
//
//   throttled   N jobs, each held to a small limit: threads, resident memory, and each job's own rate
//   flat out    8 jobs without a limit: delay of Node's event loop
//   questions   jobs flat out, progress asked all the time: how long an answer takes
//   limits      the lowest and the highest rate of any whole second, sampled every 10 ms
//   new limit   the rate in the 50 ms after it was set; abort: from the call until QEMU can open the image
//
//     node bench/service.mjs [--jobs 1000] [--folder DIR]
//
// Every overlay lies on one base, and each job copies the whole base. Prints a Markdown table.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { pullImage } from '../dist/index.js'
import { writeQcow2 } from '../test/support/images/qcow2-builder.mjs'

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    folder: { type: 'string', default: tmpdir() },
  },
})
const jobCount = Number(values.jobs)
const folder = mkdtempSync(join(values.folder, 'blockpull-bench-'))
const clusterSize = 2 ** 16
const limit = 64 * 1024

/** @type {[string, string][]} */
const rows = []

/** @param {string} name @param {number} mebibytes */
function writeBase(name, mebibytes) {
  const pool = randomBytes(64 * clusterSize)
  const clusters = new Map()
  for (let index = 0; index < (mebibytes * 2 ** 20) / clusterSize; index++) {
    const from = (index % 64) * clusterSize
    clusters.set(index, { data: pool.subarray(from, from + clusterSize) })
  }
  writeQcow2(join(folder, name), { size: mebibytes * 2 ** 20, clusters })
}

/** @param {string} base @param {number} mebibytes @param {number} count */
function overlays(base, mebibytes, count) {
  const first = join(folder, `${base}-0`)
  writeQcow2(first, { size: mebibytes * 2 ** 20, backingFile: base, backingFormat: 'qcow2' })
  const paths = Array.from({ length: count }, (_, index) => join(folder, `${base}-${index}`))
  for (const path of paths.slice(1)) copyFileSync(first, path)
  return paths
}

/** @param {number[]} numbers @param {number} share */
function quantile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

/** Threads of this process by name, and its resident memory in MiB. */
function footprint() {
  const names = readdirSync('/proc/self/task').map((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim())
  const ours = names.filter((name) => name.startsWith('blockpull') || name.startsWith('iou-'))
  return { ours: ours.length, all: names.length, resident: process.memoryUsage.rss() / 2 ** 20 }
}

async function throttled() {
  const jobs = await Promise.all(
    overlays('small', 8, jobCount).map((path) => pullImage(path, { bytesPerSecond: limit })),
  )
  await sleep(1500)
  const from = jobs.map((job) => job.progress.bytesMoved)
  const start = performance.now()
  await sleep(5000)
  const seconds = (performance.now() - start) / 1000
  const rates = jobs.map((job, index) => (job.progress.bytesMoved - (from[index] ?? 0)) / seconds / limit)
  const { ours, all, resident } = footprint()
  rows.push([`${jobCount} jobs at 64 KiB/s each: threads of ours`, `${ours} (of ${all} in the process)`])
  rows.push(['the same: resident memory', `${resident.toFixed(0)} MiB`])
  const shown = [0, 0.5, 1].map((share) => quantile(rates, share).toFixed(3)).join(' / ')
  rows.push(['the same: rate by limit, lowest / median / highest job', shown])
  await Promise.all(jobs.map((job) => job.abort()))
}

async function flatOut() {
  const jobs = await Promise.all(overlays('large', 512, 8).map((path) => pullImage(path, {})))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  /** @type {number[]} */
  const answers = []
  const end = performance.now() + 1500
  while (performance.now() < end) {
    for (const job of jobs) {
      const start = performance.now()
      void job.progress
      answers.push(performance.now() - start)
    }
    await sleep(1)
  }
  delay.disable()
  rows.push(['8 jobs flat out: p99 delay of the event loop', `${(delay.percentile(99) / 1e6).toFixed(2)} ms`])
  rows.push(['the same: p99 of asking for progress', `${(quantile(answers, 0.99) * 1000).toFixed(0)} µs`])
  await Promise.all(jobs.map((job) => job.abort()))
}

/** @param {string} image @param {number} mebibytes a second */
async function limitKept(image, mebibytes) {
  const job = await pullImage(image, { bytesPerSecond: mebibytes * 2 ** 20 })
  const samples = [{ at: performance.now(), bytes: job.progress.bytesMoved }]
  while (performance.now() - (samples[0]?.at ?? 0) < 4000) {
    await sleep(10)
    samples.push({ at: performance.now(), bytes: job.progress.bytesMoved })
  }
  await job.abort()
  const rates = samples.flatMap((from) => {
    const to = samples.find(({ at }) => at - from.at >= 1000)
    return to === undefined ? [] : [(to.bytes - from.bytes) / (to.at - from.at) / (mebibytes * 1048.576)]
  })
  const shown = [0, 0.5, 1].map((share) => `${(quantile(rates, share) * 100).toFixed(1)} %`).join(' / ')
  rows.push([`limit of ${mebibytes} MiB/s: lowest / median / highest whole second`, shown])
}

async function abortAndLimit() {
  const path = overlays('large', 512, 1)[0] ?? ''
  const job = await pullImage(path, { bandwidth: '20MiB/s' })
  await sleep(1200)
  job.setBandwidth({ bandwidth: '100MiB/s' })
  const start = performance.now()
  const before = job.progress.bytesMoved
  await sleep(50)
  const rate = (job.progress.bytesMoved - before) / ((performance.now() - start) / 1000) / 2 ** 20
  rows.push(['rate in the 50 ms after 20 became 100 MiB/s', `${rate.toFixed(0)} MiB/s`])
  const asked = performance.now()
  await job.abort()
  execFileSync('qemu-io', ['-c', 'read 0 512', path])
  rows.push(['abort until qemu-io has opened the image and read', `${(performance.now() - asked).toFixed(0)} ms`])
}

try {
  writeBase('small', 8)
  writeBase('large', 512)
  await throttled()
  await flatOut()
  const images = overlays('large', 512, 3)
  for (const [index, limit] of [1, 10, 100].entries()) await limitKept(images[index] ?? '', limit)
  await abortAndLimit()
  console.log(`${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}\n`)
  console.log(`| what | measured |\n| --- | --- |`)
  for (const row of rows) console.log(`| ${row.join(' | ')} |`)
} finally {
  rmSync(folder, { recursive: true })
}
