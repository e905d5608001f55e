// SPDX-License-Identifier: Apache-2.0
//
// Pulls one disk behind each of many monitors at once, from this process, while it asks for their jobs all the time,
// and tells what that cost. Some monitors never say a word; their pulls are refused, and nobody waits for them. Used
// by a test with a few hundred monitors and by bench/monitors.mjs with a thousand.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlockPullError, connect } from '../../dist/index.js'
import { PeerProcess } from '../qmp-peer/index.mjs'

/**
 * @typedef {object} Options
 * @property {string} folder
 * @property {number} count
 * @property {number} muteFraction
 * @property {number} jobTimeMs how long each job lasts in its QEMU
 * @property {number} connectTimeout milliseconds until a monitor without a greeting is given up
 */

/**
 * @typedef {object} Figures
 * @property {number} completed
 * @property {number} refused monitors that were busy
 * @property {string[]} surprises whatever else happened: other ends, events that came twice or not, `cur` that fell
 * @property {number} seconds until the last job that completed had ended
 * @property {number} connectSeconds
 * @property {number[]} answers milliseconds that each query of a job took
 * @property {number} delayP99 of the event loop, in milliseconds
 * @property {number} delayMax
 * @property {number} cpuSeconds of this process
 * @property {Record<string, number>} threads CPU seconds of our own threads by name
 * @property {number} residentMiB grown by so much, at its peak
 */

/** The threads of this process that are ours, with the CPU seconds that each has used. */
export function ownThreads() {
  /** @type {Record<string, number>} */
  const used = {}
  for (const id of readdirSync('/proc/self/task')) {
    const [, name = '', rest = ''] = readFileSync(`/proc/self/task/${id}/stat`, 'utf8').match(/\((.*)\) (.*)/s) ?? []
    const [user = 0, system = 0] = rest.split(' ').slice(11, 13).map(Number)
    if (/^(blockpull|iou-)/.test(name)) used[name] = (used[name] ?? 0) + (user + system) / 100
  }
  return used
}

/** As peer-process.mjs chooses them. @param {number} index @param {number} fraction */
const isMute = (index, fraction) => Math.floor((index + 1) * fraction) > Math.floor(index * fraction)

/** A loop's turns with a query in each, until `stop` is called.
 * @param {import('../../dist/index.js').Domain[]} domains @param {Figures} figures */
function askAllTheTime(domains, figures) {
  let isOver = false
  /** @type {Map<string, number>} */
  const latest = new Map()
  const run = async () => {
    for (let index = 0; !isOver; index = (index + 1) % domains.length) {
      const domain = domains[index]
      if (domain === undefined) return
      const begun = performance.now()
      const info = await domain.blockJobInfo('vda')
      figures.answers.push(performance.now() - begun)
      if (info !== null) {
        if (info.cur < (latest.get(domain.name) ?? 0)) figures.surprises.push(`${domain.name} went back`)
        latest.set(domain.name, info.cur)
      }
      await sleep(1)
    }
  }
  const running = run()
  return async () => {
    isOver = true
    await running
  }
}

/** @param {import('../../dist/index.js').Domain} domain @param {Figures} figures @param {number} begun */
async function pull(domain, figures, begun) {
  try {
    const job = await domain.blockPull('vda')
    await job.done
    figures.completed += 1
    figures.seconds = Math.max(figures.seconds, (performance.now() - begun) / 1000)
  } catch (error) {
    if (BlockPullError.is(error) && error.code === 'MONITOR_BUSY') figures.refused += 1
    else figures.surprises.push(`${domain.name}: ${error}`)
  }
}

/** @param {string} folder @param {string[]} paths @param {number} connectTimeout */
function describe(folder, paths, connectTimeout) {
  const domains = paths.map((qmp, index) => {
    const source = join(folder, `vm${index}.qcow2`)
    return { name: `vm${index}`, qmp, disks: [{ target: 'vda', source, format: 'qcow2' }] }
  })
  return { domains, monitorTimeouts: { connect: connectTimeout } }
}

/** @param {Options} options @returns {Promise<Figures>} */
export async function pullMany({ folder, count, muteFraction, jobTimeMs, connectTimeout }) {
  /** @type {Figures} */
  const figures = {
    completed: 0,
    refused: 0,
    surprises: [],
    seconds: 0,
    connectSeconds: 0,
    answers: [],
    delayP99: 0,
    delayMax: 0,
    cpuSeconds: 0,
    threads: {},
    residentMiB: 0,
  }
  const peers = await PeerProcess.start({ folder, count, muteFraction, jobTimeMs })
  try {
    const resident = process.memoryUsage.rss()
    const cpu = process.cpuUsage()
    const begun = performance.now()
    const connection = await connect(describe(folder, peers.paths, connectTimeout))
    /** @type {Map<string, number>} */
    const told = new Map()
    connection.on('blockJob', ({ domain, status }) => {
      told.set(domain.name, (told.get(domain.name) ?? 0) + 1)
      if (status !== 0) figures.surprises.push(`${domain.name} was told status ${status}`)
    })
    const domains = await connection.listAllDomains()
    figures.connectSeconds = (performance.now() - begun) / 1000
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const stopAsking = askAllTheTime(
      domains.filter(({ name }) => !isMute(Number(name.slice(2)), muteFraction)),
      figures,
    )
    await Promise.all(domains.map((domain) => pull(domain, figures, performance.now())))
    await stopAsking()
    delay.disable()
    figures.delayP99 = delay.percentile(99) / 1e6
    figures.delayMax = delay.max / 1e6
    figures.residentMiB = (process.memoryUsage.rss() - resident) / 2 ** 20
    figures.threads = ownThreads()
    await connection.close()
    const { user, system } = process.cpuUsage(cpu)
    figures.cpuSeconds = (user + system) / 1e6
    for (const [name, times] of told) if (times !== 1) figures.surprises.push(`${name} was told ${times} times`)
    if (told.size !== figures.completed) figures.surprises.push(`${told.size} of ${figures.completed} were told`)
  } finally {
    await peers.stop()
  }
  return figures
}
