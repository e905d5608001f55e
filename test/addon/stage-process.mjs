// SPDX-License-Identifier: Apache-2.0
//
// Takes a job to one of its stages and then ends the environment that it runs in, in the way it is told:
//
//     node stage-process.mjs HOW STAGE IMAGE       HOW: exit | worker-exit | terminate | fall-through
//
// The end comes from inside ('exit', 'worker-exit': process.exit there), from outside ('terminate': the worker is
// terminated by the main thread), or by itself ('fall-through': nothing is left to do but a job that was let go
// of). Exit code 7 says that the end was reached as planned; everything else is a failure, a crash above all.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { connect, digestImage, inspectChain, plan, pullImage } from '../../dist/index.js'

const slowly = { bandwidth: '1MiB/s' }

/** Each takes the image, and `end`, to be called when the stage is reached.
 * @type {Record<string, (image: string, end: () => void) => Promise<void>>} */
const stages = {
  'before the start is answered': async (image, end) => {
    pullImage(image, slowly).catch(() => undefined)
    end()
  },
  'right after the start': async (image, end) => {
    await pullImage(image, slowly)
    end()
  },
  'in the middle': async (image, end) => {
    const job = await pullImage(image, slowly)
    for await (const progress of job) if (progress.bytesMoved > 0) break
    end()
  },
  'at full speed': async (image, end) => {
    await pullImage(image)
    setTimeout(end, 3)
  },
  'while it is aborted': async (image, end) => {
    const job = await pullImage(image, slowly)
    void job.abort()
    end()
  },
  'in the turn of its end': async (image, end) => {
    const job = await pullImage(image)
    await job.done
    end()
  },
  'as the job of a connection': async (image, end) => {
    const connection = await connected(image)
    await (await connection.lookupByName('vm0')).blockPull('vda', slowly)
    end()
  },
  'while its connection closes': async (image, end) => {
    const connection = await connected(image)
    await (await connection.lookupByName('vm0')).blockPull('vda', slowly)
    void connection.close()
    end()
  },
  'while a digest is made': async (image, end) => {
    digestImage(image).catch(() => undefined)
    setTimeout(end, 20)
  },
  'while chains are read': async (image, end) => {
    for (let i = 0; i < 10; i++) {
      inspectChain(image).catch(() => undefined)
      plan(image).catch(() => undefined)
    }
    end()
  },
  'while it runs unwatched': async (image, end) => {
    const job = await pullImage(image, slowly)
    job.unref()
    end()
  },
}

/** @param {string} image */
function connected(image) {
  return connect({ domains: [{ name: 'vm0', disks: [{ target: 'vda', source: image, format: 'qcow2' }] }] })
}

if (isMainThread) {
  const [how = '', stage = '', image = ''] = process.argv.slice(2)
  if (how === 'exit') {
    await stages[stage]?.(image, () => process.exit(7))
  } else if (how === 'fall-through') {
    process.exitCode = 7
    await stages[stage]?.(image, () => undefined)
  } else {
    const worker = new Worker(new URL(import.meta.url), { workerData: { how, stage, image } })
    worker.on('error', (error) => console.error(error))
    worker.on('message', () => worker.terminate())
    worker.on('exit', (code) => {
      const isPlanned = code === (how === 'terminate' ? 1 : 7)
      process.exitCode = isPlanned ? 7 : 100 + code
    })
  }
} else {
  const { how, stage, image } = workerData
  await stages[stage]?.(image, () => {
    if (how === 'worker-exit') process.exit(7)
    parentPort?.postMessage('reached')
    // Nothing more of this environment's own, until it is ended from outside.
    setInterval(() => undefined, 1000)
  })
}
