// SPDX-License-Identifier: Apache-2.0
//
// Drops handles and lets the garbage collector run; prints what came of it. Needs --expose-gc.

import { readdirSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { connect, pullImage } from '../../dist/index.js'

const [task = '', image = ''] = process.argv.slice(2)
const collect = /** @type {() => void} */ (globalThis.gc)

/** Turns of the event loop with collections between, so that finalizers run. */
async function settle() {
  for (let i = 0; i < 5; i++) {
    collect()
    await turn()
  }
}

function connected() {
  return connect({ domains: [{ name: 'vm0', disks: [{ target: 'vda', source: image, format: 'qcow2' }] }] })
}

/** Starts a pull of two seconds and forgets it.
 * @returns {Promise<WeakRef<object>>} */
async function forgetJob() {
  return new WeakRef(await pullImage(image, { bandwidth: '2MiB/s' }))
}

async function dropConnection() {
  const connection = await connected()
  const domain = await connection.lookupByName('vm0')
  await domain.blockPull('vda', { bandwidth: '2MiB/s' })
}

async function churnOnce() {
  const connection = await connected()
  const domain = await connection.lookupByName('vm0')
  const job = await domain.blockPull('vda')
  await job.done
  await connection.close()
}

/** @type {Record<string, () => Promise<void>>} */
const tasks = {
  'drop a job': async () => {
    await forgetJob()
    await settle()
    console.log('collected')
  },
  'drop a connection': async () => {
    await dropConnection()
    await settle()
    console.log('dropped')
  },
  churn: async () => {
    for (let i = 0; i < 100; i++) await churnOnce()
    await settle()
    const before = process.memoryUsage().rss
    for (let i = 0; i < 1000; i++) await churnOnce()
    await settle()
    const megabytes = (process.memoryUsage().rss - before) / 1e6
    console.log(JSON.stringify({ handles: readdirSync('/proc/self/fd').length, megabytes }))
  },
}

await tasks[task]?.()
