// SPDX-License-Identifier: Apache-2.0
//
// Plays one scenario against a real QEMU and against the peer, and writes down what is to be the same: the order
// of events and replies, and the shape (members and their types) of what queries show. Values are not compared,
// except in refusals, since ids, sizes on disk and times are each side's own.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { QmpClient, QmpError } from '../support/qemu/qmp-client.mjs'
import { startQemu } from '../support/qemu/start-qemu.js'
import { QmpPeer } from './index.mjs'
import type { DiskDescription } from './types.js'

/** What a scenario does with either side. */
export interface Play {
  readonly client: QmpClient
  /** Writes down the shape of these queries' replies. */
  look(...queries: readonly string[]): Promise<void>
  /** Writes down how a command is refused, word for word, or that the connection ended over it. */
  refused(command: string, args: object): Promise<void>
  /** Writes down a value, which is to be the same on both sides. */
  note(value: unknown): void
  /** Has the guest's state saved, until nothing is left of it here but its disks. */
  migrate(): Promise<void>
  /** Lets a throttled job run to its end. */
  finish(jobId: string): Promise<void>
  /** The I/O error that is injected into the real one comes by itself; the peer is told. */
  fail(jobId: string): void
}

export type Scenario = (play: Play) => Promise<void>

export interface Recording {
  readonly sequence: readonly string[]
  readonly findings: readonly unknown[]
}

export interface Sides {
  readonly folder: string
  readonly machine?: 'none' | 'q35'
  /** Arguments of the real one, and what the peer has instead. */
  readonly args: readonly string[]
  readonly disks: readonly DiskDescription[]
}

/** A job whose end is near is raced by replies; these are left out of the sequence. */
const racing = /^(query-.*|block-job-set-speed|qmp_capabilities)$/

async function recordReal({ folder, machine = 'none', args }: Sides, scenario: Scenario): Promise<Recording> {
  const qemu = await startQemu({ folder, machine, args })
  const migrate = async (client: QmpClient): Promise<void> => {
    await client.execute('migrate', { uri: 'exec:cat >/dev/null' })
    while ((await client.execute('query-status')).status !== 'postmigrate') await sleep(2)
  }
  return record(qemu.socket, scenario, { finish: () => undefined, fail: () => undefined, migrate })
}

async function recordPeer({ folder, machine, disks }: Sides, scenario: Scenario): Promise<Recording> {
  const threadId = machine === 'q35' ? process.pid : null
  const peer = await QmpPeer.start({ path: `${folder}/peer.qmp`, disks, isStopped: true, threadId })
  try {
    return await record(peer.path, scenario, {
      finish: (jobId) => peer.complete(jobId),
      fail: (jobId) => peer.fail(jobId, 'Input/output error'),
      migrate: async (client) => {
        await client.execute('migrate', { uri: 'exec:cat >/dev/null' })
        peer.migrateTo('postmigrate')
      },
    })
  } finally {
    await peer.stop()
  }
}

/** Plays the scenario against both, and wants the same; gives the sequence. */
export async function expectTheSame(sides: Sides, scenario: Scenario): Promise<readonly string[]> {
  const real = await recordReal(sides, scenario)
  const peer = await recordPeer(sides, scenario)
  expect(peer.sequence).toEqual(real.sequence)
  expect(peer.findings).toEqual(real.findings)
  return real.sequence
}

/** What either side needs that the other does not. */
interface Hands {
  readonly finish: (jobId: string) => void
  readonly fail: (jobId: string) => void
  readonly migrate: (client: QmpClient) => Promise<void>
}

async function record(path: string, scenario: Scenario, hands: Hands): Promise<Recording> {
  const client = await QmpClient.connect(path)
  const findings: unknown[] = []
  try {
    await scenario({
      client,
      async look(...queries) {
        for (const query of queries) {
          const args = query === 'query-named-block-nodes' ? { flat: true } : undefined
          findings.push([query, shapeOf(await client.execute(query, args))])
        }
      },
      async refused(command, args) {
        const error = await client.execute(command, args).catch((reason: unknown) => reason)
        findings.push([command, args, wordsOf(error)])
      },
      note: (value) => void findings.push(value),
      migrate: () => hands.migrate(client),
      async finish(jobId) {
        await client.execute('block-job-set-speed', { device: jobId, speed: 0 })
        hands.finish(jobId)
      },
      fail: hands.fail,
    })
    return { sequence: sequenceOf(client), findings }
  } finally {
    await client.close()
  }
}

function wordsOf(error: unknown): unknown {
  if (error instanceof QmpError) return [error.class, error.desc]
  return error instanceof Error ? error.message : 'not refused'
}

/** 'JOB_STATUS_CHANGE running', 'BLOCK_JOB_COMPLETED', 'reply to job-finalize', ... */
function sequenceOf(client: QmpClient): string[] {
  return client.messages.flatMap((message): string[] => {
    if (message.event !== undefined) {
      const { status, action, error } = message.data ?? {}
      return [[message.event, status, action, error].filter((part) => part !== undefined).join(' ')]
    }
    if (message.error !== undefined && message.id === undefined) return [`error: ${message.error.desc}`]
    const command = client.sent.get(message.id)
    return command === undefined || racing.test(command) ? [] : [`reply to ${command}`]
  })
}

/**
 * The same structure with the name of each value's type in its place. Members and entries are put in order, since
 * nodes are listed in the order in which they were made, and that is the caller's.
 */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf).sort(byText)
  if (typeof value !== 'object' || value === null) return typeof value
  const members = Object.entries(value).map(([name, member]): [string, unknown] => [name, shapeOf(member)])
  return Object.fromEntries(members.sort(([one], [other]) => (one < other ? -1 : 1)))
}

function byText(one: unknown, other: unknown): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1
}
