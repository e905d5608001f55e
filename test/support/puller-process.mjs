// SPDX-License-Identifier: Apache-2.0
//
// A process that pulls what it is told to over Node's IPC channel, one message a pull, and says how each ended.
// It is what a test kills, or runs with another environment, and its crash is no crash of the test. It exits when
// the channel closes.

import { pullImage } from '../../dist/index.js'

/** @typedef {import('./puller.js').PullRequest} PullRequest */
/** @typedef {import('./puller.js').PullReport} PullReport */

/** @param {PullRequest} request @returns {Promise<PullReport>} */
async function pull({ path, options, abortAfterMs }) {
  let job
  try {
    job = await pullImage(path, options)
  } catch (error) {
    return { ...failure(error), state: 'refused' }
  }
  const timer = abortAfterMs === undefined ? undefined : setTimeout(() => job.abort(), abortAfterMs)
  await job.done.catch(() => undefined)
  clearTimeout(timer)
  const { outcome } = job
  if (outcome === null) throw new Error('the job is done and has no outcome')
  const { state, error, bytesMoved, method, released } = outcome
  return { ...(error === null ? nothing : failure(error)), state, bytesMoved, method, released: [...released] }
}

const nothing = { code: null, message: null, bytesNeeded: null, bytesMoved: 0, method: 'none', released: [] }

/** @param {any} error */
function failure(error) {
  return { ...nothing, code: error.code ?? error.name, message: error.message, bytesNeeded: error.bytesNeeded ?? null }
}

process.on('message', async (/** @type {{ id: number, request: PullRequest }} */ { id, request }) => {
  const report = await pull(request)
  process.send?.({ id, report })
})
process.on('disconnect', () => process.exit(0))
