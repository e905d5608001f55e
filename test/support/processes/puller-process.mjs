// SPDX-License-Identifier: Apache-2.0
//
// A process that pulls what it is told to over Node's IPC channel, one message a pull, and says how each ended.
// It is what a test kills, or runs with another environment, and its crash is no crash of the test. It exits when
// the channel closes.

import { pullImage } from '../../../dist/index.js'

/** @typedef {import('./puller.js').PullRequest} PullRequest */
/** @typedef {import('./puller.js').PullReport} PullReport */

/** @param {PullRequest} request @returns {Promise<PullReport>} */
async function pull({ path, options, abortAfterMs, killAfterMs }) {
  let job
  try {
    job = await pullImage(path, options)
  } catch (error) {
    return { ...failure(error), state: 'refused' }
  }
  if (killAfterMs !== undefined) dieAt(performance.now() + killAfterMs, job)
  const timer = abortAfterMs === undefined ? undefined : setTimeout(() => job.abort(), abortAfterMs)
  await job.done.catch(() => undefined)
  clearTimeout(timer)
  const { outcome } = job
  if (outcome === null) throw new Error('the job is done and has no outcome')
  const { state, error, bytesMoved, method, released } = outcome
  return { ...(error === null ? nothing : failure(error)), state, bytesMoved, method, released: [...released] }
}

/** Looks at the clock without a pause, since timers know whole milliseconds only, and a pull may last a few.
 * @param {number} when @param {{ outcome: unknown }} job */
function dieAt(when, job) {
  if (performance.now() >= when) process.kill(process.pid, 'SIGKILL')
  if (job.outcome === null) setImmediate(dieAt, when, job)
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
