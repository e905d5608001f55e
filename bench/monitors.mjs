// SPDX-License-Identifier: Apache-2.0
//
// What it costs one process to pull the disks of many running guests at once: N scripted monitors with a job each,
// one in ten of which never says a word, and beside them real storage daemons whose disks are pulled under a limit.
// Progress is asked all the time. The scripted ones run in a process of their own, the daemons in theirs; this one
// is measured.
//
//     node bench/monitors.mjs [--monitors 1000] [--real 10] [--seconds 10] [--folder DIR]
//
// Prints a Markdown table.

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { connect } from '../dist/index.js'
import { pullMany } from '../test/qmp/many-monitors.mjs'
import { writeQcow2 } from '../test/support/images/qcow2-builder.mjs'

const { values } = parseArgs({
  options: {
    monitors: { type: 'string', default: '1000' },
    real: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '10' },
    folder: { type: 'string', default: tmpdir() },
  },
})
const count = Number(values.monitors)
const realCount = Number(values.real)
const seconds = Number(values.seconds)
const folder = mkdtempSync(join(values.folder, 'blockpull-bench-'))
const diskBytes = 32 * 2 ** 20
const clusterSize = 2 ** 16

/** An event loop that has nothing to do, in a process of its own: says its p99 delay once its input ends. */
const idleLoop = `
const { monitorEventLoopDelay } = require('node:perf_hooks')
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
process.stdin.resume().once('end', () => console.log(delay.percentile(99) / 1e6))
`

/** What the machine keeps an idle event loop waiting for; gives what ends it and tells: p99 in milliseconds. */
function watchMachine() {
  const child = spawn(process.execPath, ['-e', idleLoop], { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (text) => {
    said += text
  })
  return async () => {
    child.stdin.end()
    await once(child, 'close')
    return Number(said)
  }
}

/** A storage daemon: it has the images, the jobs and the monitor of a QEMU. @param {number} index */
async function startDaemon(index) {
  const path = join(folder, `real${index}.qcow2`)
  const qmp = join(folder, `real${index}.qmp`)
  writeQcow2(path, { size: diskBytes, backingFile: 'real-base.qcow2', backingFormat: 'qcow2' })
  const image = ['--blockdev', `driver=qcow2,node-name=vda,file.driver=file,file.filename=${path}`]
  const monitor = ['--chardev', `socket,id=qmp,path=${qmp},server=on,wait=off`, '--monitor', 'chardev=qmp']
  const child = spawn('qemu-storage-daemon', [...image, ...monitor], { stdio: ['ignore', 'ignore', 'inherit'] })
  while (!existsSync(qmp)) {
    if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode} at its start`)
    await sleep(10)
  }
  return { child, domain: { name: `real${index}`, qmp, disks: [{ target: 'vda', source: path, format: 'qcow2' }] } }
}

/** Pulls the disks of real storage daemons, held to a limit so that each takes `seconds`; how many completed. */
async function pullReal() {
  const clusters = new Map()
  const data = randomBytes(clusterSize)
  for (let index = 0; index < diskBytes / clusterSize; index++) clusters.set(index, { data })
  writeQcow2(join(folder, 'real-base.qcow2'), { size: diskBytes, clusters })
  const qemus = await Promise.all(Array.from({ length: realCount }, (_, index) => startDaemon(index)))
  try {
    const connection = await connect({ domains: qemus.map(({ domain }) => domain) })
    const domains = await connection.listAllDomains()
    const limit = { bytesPerSecond: Math.floor(diskBytes / seconds) }
    const jobs = await Promise.all(domains.map((domain) => domain.blockPull('vda', limit)))
    const ends = await Promise.allSettled(jobs.map((job) => job.done))
    await connection.close()
    return ends.filter(({ status }) => status === 'fulfilled').length
  } finally {
    for (const { child } of qemus) child.kill('SIGKILL')
  }
}

/** @param {number[]} numbers @param {number} share */
function quantile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

try {
  const tellIdle = watchMachine()
  const options = { folder, count, muteFraction: 0.1, jobTimeMs: seconds * 1000, connectTimeout: 5000 }
  const [figures, real] = await Promise.all([pullMany(options), pullReal()])
  const idle = await tellIdle()
  const { completed, refused, surprises, answers } = figures
  const threads = Object.entries(figures.threads).map(([name, used]) => `${name} ${used.toFixed(2)} s`)
  const rows = [
    [`${count} monitors, jobs of ${seconds} s: completed / mute and refused`, `${completed} / ${refused}`],
    ['ends that were told twice, not at all, or wrongly', `${surprises.length}`],
    [`real qemu-storage-daemons beside them, with a job each: completed`, `${real} of ${realCount}`],
    ['from the first call to the last end', `${figures.seconds.toFixed(1)} s`],
    ['CPU time of the process, all of it', `${figures.cpuSeconds.toFixed(2)} s`],
    ['threads of ours, and their share of it', threads.join(', ')],
    ['resident memory beyond Node’s', `${figures.residentMiB.toFixed(0)} MiB`],
    [
      'p99 delay of the event loop (of one in an idle process beside it)',
      `${figures.delayP99.toFixed(2)} ms (${idle.toFixed(2)} ms)`,
    ],
    [
      `asking for a job, ${answers.length} times: median / p99`,
      [0.5, 0.99].map((share) => `${(quantile(answers, share) * 1000).toFixed(0)} µs`).join(' / '),
    ],
  ]
  for (const surprise of surprises.slice(0, 10)) console.error(surprise)
  console.log(
    `${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, Linux ${release()}, Node ${process.versions.node}\n`,
  )
  console.log('| what | measured |\n| --- | --- |')
  for (const row of rows) console.log(`| ${row.join(' | ')} |`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
