// SPDX-License-Identifier: Apache-2.0
//
// One block-stream job: QEMU's states, which verbs each of them takes, and the events of each change in the order
// in which QEMU raises them.
//
//     created -> running <-> paused          a start that fails: created -> null
//                   |
//        (all done) |----- cancel, error ----> aborting
//                   v                             |
//                waiting -> pending -- cancel --->|
//                              | finalize         v
//                              +-----------> concluded -> null
//
// A job moves only by advance(); who calls it is not its affair.

import { QmpFailure } from './qmp-failure.mjs'

/** @typedef {import('./types.js').Emit} Emit */

/**
 * @typedef {object} StreamOptions
 * @property {string} id
 * @property {number} length bytes to go over; 0 where there is nothing to do
 * @property {number} speed
 * @property {string} onError
 * @property {boolean} autoFinalize
 * @property {boolean} autoDismiss
 */

/** @type {Record<string, readonly string[]>} */
const takers = {
  cancel: ['created', 'running', 'paused', 'waiting', 'pending'],
  pause: ['created', 'running', 'paused'],
  resume: ['created', 'running', 'paused'],
  'set-speed': ['created', 'running', 'paused'],
  complete: [],
  finalize: ['pending'],
  dismiss: ['concluded'],
}

export class StreamJob {
  /** @type {string} */
  status = 'undefined'
  offset = 0
  /** @type {string | undefined} */
  error
  ioStatus = 'ok'
  /** What the job will fail with once it ends. @type {string | undefined} */
  #firstError
  /** Whether all that it went over was written. */
  #isWhole = true
  #isPausedByUser = false
  #emit
  #ends

  /** @param {StreamOptions} options @param {Emit} emit
   * @param {{ canWrite: () => boolean, copied: () => void, succeeded: () => void, unwound: () => void,
   *   gone: () => void }} ends what becomes of the images: `copied` is once all was gone over and written, which it is
   *   while the images are active, `succeeded` may throw and so fail the job, `unwound` follows either outcome, `gone`
   *   is when nobody can see it */
  constructor(options, emit, ends) {
    this.id = options.id
    this.options = options
    this.speed = options.speed
    this.#emit = emit
    this.#ends = ends
  }

  /** @param {boolean} isRefused whether the start fails for a reason that QEMU sees only now */
  start(isRefused = false) {
    this.#become('created')
    if (isRefused) return this.#vanish()
    this.#become('running')
    if (this.options.length === 0) this.#reachEnd()
  }

  get isMoving() {
    return this.status === 'running'
  }

  /** Gets on by so many bytes. @param {number} bytes */
  advance(bytes) {
    if (!this.isMoving) return
    this.#isWhole &&= this.#ends.canWrite()
    this.offset = Math.min(this.options.length, this.offset + bytes)
    if (this.offset === this.options.length) this.#reachEnd()
  }

  /** An I/O error now; of a job that is pending, the failure of its finalize. @param {string} text */
  fail(text) {
    if (this.status === 'pending') {
      this.#firstError = text
      return
    }
    if (!this.isMoving) throw new Error(`job '${this.id}' is ${this.status}; only a running or pending one fails`)
    const isFull = text === 'No space left on device'
    const stops = this.options.onError === 'stop' || (isFull && /^(enospc|auto)$/.test(this.options.onError))
    const action = stops ? 'stop' : this.options.onError === 'ignore' ? 'ignore' : 'report'
    this.#emit('BLOCK_JOB_ERROR', { device: this.id, operation: 'read', action })
    if (action === 'stop') {
      this.ioStatus = isFull ? 'nospace' : 'failed'
      this.#isPausedByUser = true
      this.#become('paused')
    } else {
      this.#firstError ??= text
      if (action === 'report') this.#abort(this.#firstError)
    }
  }

  pause() {
    this.check('pause')
    if (this.#isPausedByUser) throw new QmpFailure('Job is already paused')
    this.#isPausedByUser = true
    this.#become('paused')
  }

  resume() {
    if (!this.#isPausedByUser) throw new QmpFailure("Can't resume a job that was not paused")
    this.check('resume')
    this.#isPausedByUser = false
    this.ioStatus = 'ok'
    this.#become('running')
  }

  /** The short stop that QEMU makes of every job when something else needs the disk still. */
  drain() {
    if (!this.isMoving) return
    this.#become('paused')
    this.#become('running')
  }

  /** @param {number} speed */
  setSpeed(speed) {
    this.check('set-speed')
    if (speed < 0) throw new QmpFailure("Parameter 'speed' expects a non-negative value")
    this.speed = speed
  }

  /** @param {boolean} force also where a user has paused it */
  cancel(force) {
    if (this.#isPausedByUser && !force) {
      throw new QmpFailure(`The block job for device '${this.id}' is currently paused`)
    }
    this.check('cancel')
    if (this.status === 'paused') this.#become('running')
    this.#isPausedByUser = false
    this.error = 'Operation canceled'
    this.#become('aborting')
    this.#ends.unwound()
    this.#conclude('BLOCK_JOB_CANCELLED', this.#where())
  }

  finalize() {
    this.check('finalize')
    this.#finish()
  }

  dismiss() {
    this.check('dismiss')
    this.#become('null')
    this.#ends.gone()
  }

  /** Is gone at once, with no word about how it ended. */
  vanish() {
    this.#ends.unwound()
    this.#vanish()
  }

  /** @param {string} verb */
  check(verb) {
    if (takers[verb]?.includes(this.status)) return
    throw new QmpFailure(`Job '${this.id}' in state '${this.status}' cannot accept command verb '${verb}'`)
  }

  /** As in `query-jobs`. */
  describe() {
    const progress = { 'current-progress': this.offset, 'total-progress': this.options.length }
    return { id: this.id, type: 'stream', status: this.status, ...progress, ...this.#failure() }
  }

  /** As in `query-block-jobs`. */
  describeAsBlockJob() {
    const { autoFinalize, autoDismiss } = this.options
    return {
      ...this.#where(),
      ...{ busy: false, paused: this.#isPausedByUser, ready: false, status: this.status },
      ...{ 'io-status': this.ioStatus, 'auto-finalize': autoFinalize, 'auto-dismiss': autoDismiss },
      ...this.#failure(),
    }
  }

  #reachEnd() {
    if (this.#firstError !== undefined) return this.#abort(this.#firstError)
    if (this.#isWhole) this.#ends.copied()
    this.#become('waiting')
    this.#become('pending')
    if (this.options.autoFinalize) this.#finish()
    else this.#emit('BLOCK_JOB_PENDING', { type: 'stream', id: this.id })
  }

  #finish() {
    try {
      if (this.#firstError !== undefined) throw new QmpFailure(this.#firstError)
      this.#ends.succeeded()
    } catch (failure) {
      if (!(failure instanceof QmpFailure)) throw failure
      return this.#abort(failure.message)
    }
    this.#ends.unwound()
    this.#conclude('BLOCK_JOB_COMPLETED', this.#where())
  }

  /** @param {string} error */
  #abort(error) {
    this.error = error
    this.#become('aborting')
    this.#ends.unwound()
    this.#conclude('BLOCK_JOB_COMPLETED', { ...this.#where(), error })
  }

  /** @param {string} event @param {Record<string, unknown>} data */
  #conclude(event, data) {
    this.#emit(event, data)
    this.#become('concluded')
    if (this.options.autoDismiss) this.#vanish()
  }

  #vanish() {
    this.#become('null')
    this.#ends.gone()
  }

  #where() {
    return { type: 'stream', device: this.id, len: this.options.length, offset: this.offset, speed: this.speed }
  }

  #failure() {
    return this.error === undefined ? {} : { error: this.error }
  }

  /** @param {string} status */
  #become(status) {
    this.status = status
    this.#emit('JOB_STATUS_CHANGE', { id: this.id, status })
  }
}
