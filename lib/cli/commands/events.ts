// SPDX-License-Identifier: Apache-2.0
//
// `blockpull events`: what becomes of jobs, one line each as it happens, in virsh's words.
//
// QEMU tells its monitor's one client of a job's end, and a client that only listened would keep everybody else
// out. So nothing is held: every few seconds the running domains are looked at, and a job of blockpull's that nobody
// waits for is followed from then on, to its durable end, as `reap` would. One that begins and ends between two looks
// is missed. Jobs of other programs, and those that a process waits for, are theirs to tell of.

import { type BlockJobEvent, BlockPullError, type Connection, type Domain } from '../../index.js'
import { longestTimeoutSeconds, readNumber } from '../args.js'
import type { Command, Context } from '../context.js'
import { done } from '../exit-codes.js'
import { connectionOptions, findDomains, withConnection } from '../find-disk.js'
import { eventSentence } from '../job-words.js'
import { writeJson } from '../json.js'
import { report, warn } from '../report.js'
import { tell } from '../shown.js'

const betweenLooksMs = 3000

/** Shorter than that, as a QEMU that is free greets at once. */
const monitorTimeouts = { connect: 2000 }

export const events: Command = {
  name: 'events',
  summary: 'Tell what becomes of jobs, as it happens.',
  usage: ['events [--connect URI] [--timeout S] [--json]', 'events --qmp SOCKET [--timeout S] [--json]'],
  options: { ...connectionOptions, timeout: { value: 'S', help: 'end after S seconds; default: at Ctrl-C' } },
  notes: [
    "Told are blockpull's jobs in running domains that nobody waits for: started with",
    '--no-wait, or left by a process that is gone. They are looked for every 3 s and',
    'then finished durably, as by reap. Jobs that another blockpull waits for are',
    'told only where the guest has a second monitor; jobs of other programs, and',
    'jobs on disks that are shut off, not at all. Each look flushes the disks.',
  ],
  run: async (args, context) => {
    args.exactly()
    const json = args.has('json')
    const timeout = readNumber(args, 'timeout', longestTimeoutSeconds)
    return await withConnection(args, context, { monitorTimeouts }, async (connection) => {
      let received = 0
      connection.on('blockJob', (event) => {
        received += 1
        if (json) writeJson(context.out, lineOf(event))
        else tell(context.out, eventSentence(event))
      })
      const looks = new Looks(context, connection)
      looks.at(await findDomains(args, connection))
      await untilTold(context, timeout, () => looks.again())
      if (!json) tell(context.err, `events received: ${received}`)
      return report(context, { ...done, state: 'done' }, { json })
    })
  },
}

/** Follows the jobs of running domains that nobody waits for. */
class Looks {
  readonly #context: Context
  readonly #connection: Connection
  readonly #followed = new Set<string>()
  readonly #warned = new Set<string>()

  constructor(context: Context, connection: Connection) {
    this.#context = context
    this.#connection = connection
  }

  async again(): Promise<void> {
    // What cannot be listed now may be by the next look.
    this.at(await this.#connection.listAllDomains().catch(() => []))
  }

  /** Begins to follow; ends of jobs come as events. */
  at(domains: readonly Domain[]): void {
    for (const domain of domains) {
      if (domain.state !== 'shut off' && !this.#followed.has(domain.uuid)) void this.#follow(domain)
    }
  }

  async #follow(domain: Domain): Promise<void> {
    this.#followed.add(domain.uuid)
    try {
      await domain.reap()
      this.#warned.delete(domain.uuid)
    } catch (error) {
      // The end of this command closes the connection.
      if (BlockPullError.is(error) && error.code === 'CLOSED') return
      if (!this.#warned.has(domain.uuid)) {
        warn(this.#context, `jobs of domain '${domain.name}' are not told for now: ${(error as Error).message}`)
      }
      this.#warned.add(domain.uuid)
    } finally {
      this.#followed.delete(domain.uuid)
    }
  }
}

/** Resolves at an interrupt, after the timeout, or when nobody reads any more; calls `look` meanwhile. */
function untilTold(context: Context, timeout: number | undefined, look: () => Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = timeout === undefined ? undefined : setTimeout(end, timeout * 1000)
    const interval = setInterval(() => (context.out.destroyed === true ? end() : void look()), betweenLooksMs)
    const release = context.onInterrupt(end)
    function end() {
      clearTimeout(timer)
      clearInterval(interval)
      release()
      resolve()
    }
  })
}

function lineOf({ error, ...event }: BlockJobEvent) {
  return { event: 'blockJob', ...event, error: error && { code: error.code, message: error.message } }
}
