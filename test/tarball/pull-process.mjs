// SPDX-License-Identifier: Apache-2.0
//
// Pulls as a program does that has installed the package, and prints what came of it as one line of JSON. Arguments:
// how, then images that are overlays.
//
//     main IMAGE                 in the main thread
//     workers IMAGE IMAGE        each in a worker of its own, at the same time
//     twice COPY IMAGE IMAGE     by this package, then by the one in the folder COPY, in one process
//     require IMAGE              by what require() gives

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import * as blockpull from 'blockpull'

/** @param {typeof blockpull} api @param {string} [image] */
async function pull({ digestImage, pullImage }, image = '') {
  const before = await digestImage(image)
  const job = await pullImage(image)
  const { state, bytesMoved } = await job.done
  const { sha256 } = await digestImage(image)
  return { state, bytesMoved, isSame: sha256 === before.sha256 }
}

/** @param {string} image */
function pullInWorker(image) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: image })
    worker.on('message', resolve)
    worker.on('error', reject)
  })
}

/** @param {string} how @param {string[]} args */
async function run(how, args) {
  const [first = '', ...others] = args
  if (how === 'workers') return await Promise.all(args.map(pullInWorker))
  if (how === 'twice') {
    const copy = await import(`${pathToFileURL(first)}/dist/index.js`)
    return [await pull(blockpull, others[0]), await pull(copy, others[1])]
  }
  return [await pull(how === 'require' ? createRequire(import.meta.url)('blockpull') : blockpull, first)]
}

if (isMainThread) {
  const [how = '', ...args] = process.argv.slice(2)
  console.log(JSON.stringify(await run(how, args)))
} else {
  parentPort?.postMessage(await pull(blockpull, workerData))
}
