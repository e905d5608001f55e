// SPDX-License-Identifier: Apache-2.0
//
// A migration of the modelled guest, which a test moves by hand:
//
//     setup -> active -> switchover -> completed -> postmigrate          cancel(), fail(): the guest stays
//     the guest runs     it stands, and its images are inactive
//
// The phases are those that a client can see apart: at the switch-over `query-migrate` still says 'active' (before
// QEMU 9, 'device' since) and `query-status` says 'finish-migrate'; then the one says 'completed' before the other
// says 'postmigrate'.

/** @typedef {import('./types.js').MigrationPhase} MigrationPhase */

/** @type {readonly MigrationPhase[]} */
const phases = ['setup', 'active', 'switchover', 'completed', 'postmigrate']

const times = { 'setup-time': 5, 'total-time': 300 }

/** What is told of the guest's memory: that none of it was sent. */
const ram = Object.fromEntries(
  [
    ...['total', 'remaining', 'transferred', 'mbps', 'page-size', 'pages-per-second', 'dirty-pages-rate'],
    ...['dirty-sync-count', 'dirty-sync-missed-zero-copy', 'duplicate', 'skipped', 'normal', 'normal-bytes'],
    ...['multifd-bytes', 'postcopy-requests', 'postcopy-bytes', 'precopy-bytes', 'downtime-bytes'],
  ].map((name) => [name, 0]),
)

export class Migration {
  #machine
  /** @type {MigrationPhase | 'cancelled' | 'failed' | undefined} */
  #phase
  /** Why it has failed. */
  #error = ''
  #didRun = false
  /** Whether the images are inactive. */
  hasImages = false

  /** @param {import('./machine.mjs').Machine} machine */
  constructor(machine) {
    this.#machine = machine
  }

  begin() {
    this.#phase = 'setup'
  }

  /** Goes on as far as this phase, by all before it. @param {MigrationPhase} phase */
  goTo(phase) {
    const from = phases.indexOf(/** @type {MigrationPhase} */ (this.#phase))
    if (from === -1) throw new Error('there is no migration under way; begin one')
    for (const next of phases.slice(from + 1, phases.indexOf(phase) + 1)) this.#enter(next)
  }

  cancel() {
    this.#end('cancelled')
  }

  /** @param {string} error */
  fail(error) {
    this.#error = error
    this.#end('failed')
  }

  /** The guest runs here again. */
  giveBack() {
    this.hasImages = false
  }

  /** As in `query-migrate`. */
  describe() {
    const isNew = this.#machine.versionNumber >= 900
    switch (this.#phase) {
      case undefined:
        return {}
      case 'setup':
      case 'cancelled':
        return { status: this.#phase }
      case 'failed':
        return { status: 'failed', 'error-desc': this.#error }
      case 'active':
      case 'switchover':
        return {
          status: this.#phase === 'switchover' && isNew ? 'device' : 'active',
          ...{ 'expected-downtime': 300, ...times, ram },
        }
      default:
        return { status: 'completed', downtime: 5, ...times, ram }
    }
  }

  /** @param {MigrationPhase} phase */
  #enter(phase) {
    const machine = this.#machine
    this.#phase = phase
    if (phase === 'switchover') {
      this.#didRun = machine.runState === 'running'
      if (this.#didRun) machine.setRunning(false, 'finish-migrate')
      this.hasImages = true
    }
    if (phase === 'postmigrate') machine.runState = 'postmigrate'
  }

  /** @param {'cancelled' | 'failed'} how */
  #end(how) {
    const isUnderWay = /^(setup|active|switchover)$/.test(this.#phase ?? '')
    if (!isUnderWay) return
    this.#phase = how
    if (this.hasImages && this.#didRun) this.#machine.setRunning(true)
    this.giveBack()
  }
}
