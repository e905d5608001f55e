// SPDX-License-Identifier: Apache-2.0
//
// `blockpull events`: prints a line for each job that ends, as it happens, in virsh's words.
//
// QEMU sends a job's end to the one client of its monitor, and a client that only listened would lock everybody else
// out. So this command polls the running domains every few seconds and holds no monitor in between. It tracks each
// blockpull job that nobody waits for, to its durable end, as `reap` does. It misses a job that starts and ends between
// two polls. Other programs report their own jobs, and so does a process that waits for one.

import { type BlockJobEvent, BlockPullError, type Connection, type Domain } from '../../index.js'
import { longestTimeoutSeconds, readNumber } from '../args.js'
import type { Command, Context } from '../context.js'
import { done } from '../exit-codes.js'
import { connectionOptions, findDomains, withConnection } from '../find-disk.js'
import { eventSentence } from '../job-words.js'
import { writeJson } from '../json.js'
import { report, warn } from '../report.js'
import { tell } from '../shown.js'

const betweenPollsMs = 3000

/** Shorter than the default: a QEMU that is free greets at once. */
const monitorTimeouts = { connect: 2000 }

export const events: Command = {
  name: 'events',
  summary: 'Report the ends of jobs as they happen.',
  usage: ['events [--connect URI] [--timeout S] [--json]', 'events --qmp SOCKET [--timeout S] [--json]'],
  options: { ...connectionOptions, timeout: { value: 'S', help: 'end after S seconds; default: at Ctrl-C' } },
  notes: [
    "Reports blockpull's jobs in running domains that nobody waits for: those started",
    'with --no-wait, and those whose process is gone. It polls every 3 s and finishes',
    'them durably, as reap does. Jobs that another blockpull waits for are reported',
    'only if the guest has a second monitor. Jobs of other programs and jobs on',
    'shut-off disks are not reported. Each poll flushes the disks.',
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
      const polls = new Polls(context, connection)
      polls.track(await findDomains(args, connection))
      await pollUntilStopped(context, timeout, () => polls.again())
      if (!json) tell(context.err, `events received: ${received}`)
      return report(context, { ...done, state: 'done' }, { json })
    })
  },
}

/** Tracks the jobs of running domains that nobody waits for. */
class Polls {
  readonly #context: Context
  readonly #connection: Connection
  readonly #tracked = new Set<string>()
  readonly #warned = new Set<string>()

  constructor(context: Context, connection: Connection) {
    this.#context = context
    this.#connection = connection
  }

  async again(): Promise<void> {
    // A listing that fails now may succeed at the next poll.
    this.track(await this.#connection.listAllDomains().catch(() => []))
  }

  /** Starts tracking; ends of jobs arrive as events. */
  track(domains: readonly Domain[]): void {
    for (const domain of domains) {
      if (domain.state !== 'shut off' && !this.#tracked.has(domain.uuid)) void this.#trackOne(domain)
    }
  }

  async #trackOne(domain: Domain): Promise<void> {
    this.#tracked.add(domain.uuid)
    try {
      await domain.reap()
      this.#warned.delete(domain.uuid)
    } catch (error) {
      // The end of this command closes the connection.
      if (BlockPullError.is(error) && error.code === 'CLOSED') return
      if (!this.#warned.has(domain.uuid)) {
        warn(this.#context, `jobs of domain '${domain.name}' cannot be reported for now: ${(error as Error).message}`)
      }
      this.#warned.add(domain.uuid)
    } finally {
      this.#tracked.delete(domain.uuid)
    }
  }
}

/** Polls until an interrupt, the timeout, or the end of the reader. */
function pollUntilStopped(context: Context, timeout: number | undefined, poll: () => Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = timeout === undefined ? undefined : setTimeout(end, timeout * 1000)
    const interval = setInterval(() => (context.out.destroyed === true ? end() : void poll()), betweenPollsMs)
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
