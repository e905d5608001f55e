// SPDX-License-Identifier: Apache-2.0
//
// One running domain for a test: a scripted peer, a connection to it, and everything that was told. The disk is
// vda, three images deep unless the test says otherwise; no image file exists, since QEMU alone would open them.

import { onTestFinished } from 'vitest'
import {
  type BlockJob,
  type BlockJobEvent,
  BlockPullError,
  type Connection,
  connect,
  type Domain,
  type MonitorTimeouts,
} from '../../lib/index.js'
import { QmpPeer } from '../qmp-peer/index.mjs'
import type { Fault, LogEntry, Outgoing, PeerOptions } from '../qmp-peer/types.js'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import type { TempFolder } from '../support/temp-folder.js'

export const diskBytes = 2 ** 20
export const images = ['/vms/top.qcow2', '/vms/mid.qcow2', '/vms/base.qcow2'] as const

/** The nodes of a disk, top first, called NAME0, NAME1, ... */
export function nodes(name: string, files: readonly string[] = images) {
  return files.map((filename, index) => ({ nodeName: `${name}${index}`, filename, virtualSize: diskBytes }))
}

/** Jobs that reach their end by themselves within a few milliseconds. */
export const quick = { progressPerTick: diskBytes / 4, tickMs: 1 } as const

let count = 0

export async function startPeer(
  temp: TempFolder,
  faults: readonly Fault[] = [],
  options: Partial<PeerOptions> = {},
): Promise<QmpPeer> {
  const disks = [{ device: 'vda', nodes: nodes('node') }]
  const peer = await QmpPeer.start({ path: temp.file(`${count++}.qmp`), disks, faults, ...options })
  onTestFinished(() => peer.stop())
  return peer
}

export interface Opened {
  readonly connection: Connection
  readonly domain: Domain
  /** The ends of jobs that were told. */
  readonly events: BlockJobEvent[]
}

/** A connection with that one domain; connecting has looked for jobs that were left, before this resolves. */
export async function open(
  peer: QmpPeer,
  monitorTimeouts?: MonitorTimeouts,
  source: string = images[0],
): Promise<Opened> {
  const disks = [{ target: 'vda', source, format: 'qcow2' }]
  const connection = await connect({ domains: [{ name: 'vm0', qmp: peer.path, disks }], monitorTimeouts })
  onTestFinished(() => connection.close())
  const events: BlockJobEvent[] = []
  connection.on('blockJob', (event) => events.push(event))
  connection.on('jobFailed', () => undefined)
  return { connection, domain: await connection.lookupByName('vm0'), events }
}

export async function start(
  temp: TempFolder,
  faults: readonly Fault[] = [],
  options: Partial<PeerOptions> = {},
  timeouts?: MonitorTimeouts,
): Promise<Opened & { readonly peer: QmpPeer }> {
  const peer = await startPeer(temp, faults, options)
  return { peer, ...(await open(peer, timeouts)) }
}

/** A fault: the first reply to the command waits until the test lets it go, so that something can come before it. */
export class HeldReply implements Fault {
  #next: (() => void) | undefined

  constructor(readonly command: string) {}

  outgoing = (message: Outgoing, next: () => void): void => {
    const isIt = message.kind === 'reply' && message.command.name === this.command && this.#next === undefined
    if (isIt) this.#next = next
    else next()
  }

  /** Resolves once the command has been carried out. */
  async reached(): Promise<void> {
    await until(`the reply to ${this.command}`, () => this.#next !== undefined)
  }

  release(): void {
    this.#next?.()
  }
}

/** A pull that has copied all, and whose first flush QEMU has carried out and not answered yet. */
export async function startAtFlush(temp: TempFolder) {
  const flush = new HeldReply('blockdev-reopen')
  const started = await start(temp, [flush])
  const job = await started.domain.blockPull('vda')
  started.peer.complete(jobIn(started.peer))
  await flush.reached()
  return { ...started, job, flush }
}

/** Another client takes the monitor from ours: it stands in line before ours can come back. */
export async function takeMonitor(peer: QmpPeer): Promise<QmpClient> {
  const waiting = QmpClient.connect(peer.path)
  peer.hangUp()
  return await waiting
}

/** How often the peer was sent the command. */
export function timesAsked(peer: QmpPeer, command: string): number {
  return peer.log.filter(({ kind, name }) => kind === 'command' && name === command).length
}

/** The id of the last job that QEMU was asked for. */
export function jobIn(peer: QmpPeer): string {
  const asked = peer.log.findLast(({ kind, name }) => kind === 'command' && name === 'block-stream')
  return String((asked as Extract<LogEntry, { kind: 'command' }> | undefined)?.arguments['job-id'])
}

/** What flushes, where QEMU is new enough and where it is not. */
export const flushes: readonly string[] = ['blockdev-reopen', 'human-monitor-command']

/** The commands that change something, in order; a flush is one, without the filter that it takes. */
export function deeds(peer: { readonly log: readonly LogEntry[] }): string[] {
  const isDeed = /^(?!query-|qmp_|x-debug|blockdev-(add|del)$)/
  const commands = peer.log.filter(({ kind, name }) => kind === 'command' && isDeed.test(name))
  return commands.map(({ name }) => (flushes.includes(name) ? 'flush' : name))
}

/** What a pull that nothing disturbs asks for. */
export const safeOrder = ['block-stream', 'flush', 'job-finalize', 'flush']

/** The same where some of it is asked for more than once: a flush before each finalize, and at the end. */
export const safeOrderInTries = /^block-stream( flush)+( job-finalize( flush)+)+$/

/** How a job ended: 'completed', or the state and the code. */
export async function endOf(job: BlockJob): Promise<string> {
  await job.done.catch(() => undefined)
  const { outcome } = job
  return outcome?.state === 'completed' ? 'completed' : `${outcome?.state} ${outcome?.error?.code}`
}

/** The error of a call that is expected to fail. */
export async function failureOf(call: Promise<unknown>): Promise<BlockPullError> {
  const reason = await call.then(
    () => new Error('the call did not fail'),
    (error: unknown) => error,
  )
  if (BlockPullError.is(reason)) return reason
  throw reason
}

/** Waits for a condition of the peer or of what was told; fails with `about` after a minute. */
export async function until(about: string, isSo: () => boolean, milliseconds = 60_000): Promise<void> {
  const end = performance.now() + milliseconds
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`${about} has not come in ${milliseconds} ms`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
