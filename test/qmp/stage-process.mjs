// SPDX-License-Identifier: Apache-2.0
//
// Begins a pull of a running guest, and ends the environment that it runs in once it is told to, by a line on its
// standard input; the peer behind the socket decides how far the pull has come by then:
//
//     node --expose-gc stage-process.mjs HOW ACTION SOCKET IMAGE    HOW: exit | worker-exit | terminate | fall-through
//
// The end comes from inside ('exit', 'worker-exit': process.exit there), from outside ('terminate': the worker is
// terminated by the main thread), or by itself ('fall-through': nothing is left to do). Exit code 7 says that the
// end was reached as planned; everything else is a failure, a crash above all.

import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { connect } from '../../dist/index.js'

/** Longer than the test lets the process live: a process that waits for a silent monitor is killed, and seen. */
const patience = { connect: 600_000, query: 600_000, change: 600_000 }

/** @param {string} socket @param {string} image */
async function domainAt(socket, image) {
  const disks = [{ target: 'vda', source: image, format: 'qcow2' }]
  const connection = await connect({ domains: [{ name: 'vm0', qmp: socket, disks }], monitorTimeouts: patience })
  connection.on('jobFailed', () => undefined)
  return { connection, domain: await connection.lookupByName('vm0') }
}

/** Turns of the event loop with collections between, so that finalizers run. */
async function collect() {
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.()
    await turn()
  }
}

/** Each begins something with the domain; a call that the end overtakes may fail or never return.
 * @type {Record<string, (socket: string, image: string) => Promise<unknown>>} */
const actions = {
  pull: async (socket, image) => {
    const { domain } = await domainAt(socket, image)
    const job = await domain.blockPull('vda')
    await job.done
  },
  'pull and ask': async (socket, image) => {
    const { domain } = await domainAt(socket, image)
    await Promise.all([domain.blockPull('vda'), domain.blockJobInfo('vda'), domain.reap()])
  },
  'pull and abort': async (socket, image) => {
    const { domain } = await domainAt(socket, image)
    const job = await domain.blockPull('vda')
    await job.abort()
  },
  'pull and close': async (socket, image) => {
    const { connection, domain } = await domainAt(socket, image)
    await domain.blockPull('vda')
    await connection.close()
  },
  'pull and forget': async (socket, image) => {
    await (await domainAt(socket, image)).domain.blockPull('vda')
    await collect()
  },
  'pull and let go': async (socket, image) => {
    const { domain } = await domainAt(socket, image)
    const job = await domain.blockPull('vda')
    job.unref()
  },
}

/** @param {string[]} parameters */
function begin([action = '', socket = '', image = '']) {
  actions[action]?.(socket, image).catch(() => undefined)
}

const [how = '', ...parameters] = isMainThread ? process.argv.slice(2) : workerData
if (isMainThread) {
  /** @type {Worker | undefined} */
  let worker
  if (how === 'exit' || how === 'fall-through') {
    begin(parameters)
  } else {
    worker = new Worker(new URL(import.meta.url), { workerData: [how, ...parameters] })
    worker.on('error', (error) => console.error(error))
    worker.on('exit', (code) => {
      process.exitCode = code === (how === 'terminate' ? 1 : 7) ? 7 : 100 + code
    })
  }
  // Not to outlive a test that failed.
  process.stdin.once('end', () => process.exit(8))
  await once(process.stdin, 'data')
  process.stdin.destroy()
  if (how === 'exit') process.exit(7)
  else if (how === 'fall-through') process.exitCode = 7
  else if (how === 'terminate') await worker?.terminate()
  else worker?.postMessage('end')
} else {
  begin(parameters)
  // Keeps this environment alive until it is ended.
  parentPort?.once('message', () => process.exit(7))
}
