// SPDX-License-Identifier: Apache-2.0
//
// Each misbehaviour of the peer really happens: a test that is passed because its fault did not come is worth
// nothing. Seen with the test client, or with a bare socket where the bytes themselves matter.

import { once } from 'node:events'
import { createConnection } from 'node:net'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { QmpClient } from '../support/qemu/qmp-client.mjs'
import { TempFolder } from '../support/temp-folder.js'
import { faults, QmpPeer, versions } from './index.mjs'
import type { Fault, PeerOptions } from './types.js'

const temp = new TempFolder('faults')
const size = 2 ** 20
const byHand = { 'job-id': 'j', device: 'vda', 'auto-finalize': false, 'auto-dismiss': false }
/** Long enough to tell that nothing comes, short enough to wait for. */
const soon = { timeoutMs: 50 }
let count = 0

afterAll(() => temp.remove())

async function startPeer(list: Fault[] = [], options: Partial<PeerOptions> = {}): Promise<QmpPeer> {
  const nodes = ['top', 'base'].map((nodeName) => ({ nodeName, filename: `${nodeName}.qcow2`, virtualSize: size }))
  const disks = [{ device: 'vda', nodes }]
  const peer = await QmpPeer.start({ path: temp.file(`${count++}.qmp`), disks, faults: list, ...options })
  onTestFinished(() => peer.stop())
  return peer
}

async function start(list: Fault[] = [], options: Partial<PeerOptions> = {}) {
  const peer = await startPeer(list, options)
  return { peer, client: await connect(peer) }
}

async function connect(peer: QmpPeer): Promise<QmpClient> {
  const client = await QmpClient.connect(peer.path)
  onTestFinished(() => client.close())
  return client
}

/** What comes on a bare socket, read by read, until `enough` says so. */
async function read(peer: QmpPeer, enough: (text: string) => boolean): Promise<string[]> {
  const socket = createConnection(peer.path)
  onTestFinished(() => void socket.destroy())
  const reads: string[] = []
  while (!enough(reads.join(''))) reads.push(String((await once(socket, 'data'))[0]))
  return reads
}

/** Where the pieces end that the fault cuts a text into. */
function endsOf(fault: Fault, text: string): number[] {
  return endsOfReads(fault.cut?.(Buffer.from(text)) ?? [])
}

function endsOfReads(pieces: readonly { readonly length: number }[]): number[] {
  let end = 0
  return pieces.map(({ length }) => {
    end += length
    return end
  })
}

describe('replies', () => {
  test('are delayed, while events are not', async () => {
    const { client } = await start([faults.delayReplies(30, 'block-stream')])
    const begun = performance.now()
    const reply = client.execute('block-stream', byHand)
    await client.status('j', 'running')
    expect(client.messages.at(-1)).toHaveProperty('event')
    await reply
    expect(performance.now() - begun).toBeGreaterThan(25)
  })

  test('come in reverse order', async () => {
    const { client } = await start([faults.reverseReplies(3)])
    const ids = ['query-name', 'query-jobs', 'query-version'].map((name) => client.send(name))
    await client.execute('query-status', undefined, soon).catch(() => undefined)
    expect(client.messages.slice(2).map(({ id }) => id)).toEqual(ids.toReversed())
  })

  test('come after an event that the command causes', async () => {
    const { peer, client } = await start([faults.replyAfterEvent('block-stream', 'BLOCK_JOB_PENDING')])
    const reply = client.execute('block-stream', byHand)
    await client.status('j', 'running')
    peer.complete('j')
    await reply
    expect(client.messages.at(-2)).toMatchObject({ event: 'BLOCK_JOB_PENDING' })
  })

  test('never come, although the command was executed', async () => {
    const { peer, client } = await start([faults.neverAnswer('block-stream')])
    await expect(client.execute('block-stream', byHand, soon)).rejects.toThrow('has not come')
    expect(peer.statusOf('j')).toBe('running')
  })

  test('are refusals or answers of our own, as often as asked', async () => {
    const busy = { class: 'GenericError', desc: 'try later' }
    const list = [faults.refuse(['query-jobs', 'query-name'], busy, 2), faults.answer('query-uuid', { UUID: 'u' })]
    const { client } = await start(list)
    await expect(client.execute('query-jobs')).rejects.toMatchObject(busy)
    await expect(client.execute('query-name')).rejects.toMatchObject(busy)
    expect(await client.execute('query-jobs')).toEqual([])
    expect(await client.execute('query-uuid')).toEqual({ UUID: 'u' })
  })
})

describe('output', () => {
  test('is cut into pieces of given sizes', async () => {
    const reads = await read(await startPeer([faults.fragment(1, 2, 5)]), (text) => text.endsWith('\r\n'))
    const whole = reads.join('')
    expect(JSON.parse(whole)).toHaveProperty('QMP')
    // Two pieces may be read as one, but none in halves.
    expect(endsOf(faults.fragment(1, 2, 5), whole)).toEqual(expect.arrayContaining(endsOfReads(reads)))
    expect(reads.length).toBeGreaterThan(5)
  })

  test('is cut at random, the same way for the same seed', async () => {
    const reads = await read(await startPeer([faults.fragmentAtRandom(7, 20)]), (text) => text.endsWith('\r\n'))
    const [first, same, other] = [7, 7, 8].map((seed) => endsOf(faults.fragmentAtRandom(seed, 20), reads.join('')))
    expect(first).toEqual(expect.arrayContaining(endsOfReads(reads)))
    expect(reads.length).toBeGreaterThan(3)
    expect(same).toEqual(first)
    expect(other).not.toEqual(first)
  })

  test('is pretty, over many lines, and in pieces as well', async () => {
    const peer = await startPeer([faults.pretty(), faults.fragment(3)])
    const reads = await read(peer, (text) => text.endsWith('}\r\n'))
    expect(reads.join('')).toMatch(/^\{\r\n {4}"QMP": \{\r\n/)
    expect(reads.length).toBeGreaterThan(10)
  })

  test('contains bytes that are not a message, once', async () => {
    const peer = await startPeer([faults.garbageBefore('}~[', 'qmp_capabilities')])
    const socket = createConnection(peer.path)
    onTestFinished(() => void socket.destroy())
    socket.write('{"execute":"qmp_capabilities"}')
    let text = ''
    while (!text.endsWith('{"return":{}}\r\n')) text += (await once(socket, 'data'))[0]
    expect(text).toMatch(/\}\r\n\}~\[\{"return"/)
    socket.write('{"execute":"query-jobs"}')
    expect(String((await once(socket, 'data'))[0])).toBe('{"return":[]}\r\n')
  })

  test('is ASCII, whatever is said', async () => {
    const peer = await startPeer([], { version: { ...versions.qemu72, package: 'Grüße 🎉' } })
    const text = (await read(peer, (sofar) => sofar.endsWith('\r\n'))).join('')
    expect(text).toContain('Gr\\u00FC\\u00DFe \\uD83C\\uDF89')
    expect(JSON.parse(text).QMP.version.package).toBe('Grüße 🎉')
  })
})

describe('silence', () => {
  test('is complete without a greeting', async () => {
    const peer = await startPeer([faults.mute()])
    const client = await QmpClient.open(peer.path)
    onTestFinished(() => client.close())
    client.send('qmp_capabilities')
    await peer.received('qmp_capabilities')
    await expect(client.greeting(soon)).rejects.toThrow('the greeting has not come')
  })

  test('falls after so many commands', async () => {
    const { client } = await start([faults.muteAfter(2)])
    await client.execute('query-jobs')
    await expect(client.execute('block-stream', byHand, soon)).rejects.toThrow('has not come')
    expect(client.messages).toHaveLength(3)
  })

  test('swallows events, of which QEMU keeps none', async () => {
    const { client } = await start([faults.loseEvents('JOB_STATUS_CHANGE')])
    await client.execute('block-stream', byHand)
    expect(client.messages.filter(({ event }) => event !== undefined)).toEqual([])
  })

  test('meets a second client until the first has left', async () => {
    const { peer, client } = await start()
    const second = await QmpClient.open(peer.path)
    onTestFinished(() => second.close())
    await expect(second.greeting(soon)).rejects.toThrow('has not come')
    await client.close()
    expect(await second.greeting()).toHaveProperty('version')
  })
})

describe('the connection ends', () => {
  test.each([
    ['received', undefined, false],
    ['done', 'running', false],
    ['answered', 'running', true],
  ] as const)('once the command is %s', async (when, status, isAnswered) => {
    const { peer, client } = await start([faults.hangUpAt('block-stream', when)])
    client.send('block-stream', byHand)
    await client.closed
    expect(peer.statusOf('j')).toBe(status)
    expect('return' in client.messages.at(-1) && client.messages.length > 2).toBe(isAnswered)
    const again = await connect(peer)
    expect(await again.execute('query-jobs')).toHaveLength(status === undefined ? 0 : 1)
  })

  test.each(['before', 'after'] as const)('%s an event', async (when) => {
    const { peer, client } = await start([faults.hangUpAtEvent('JOB_STATUS_CHANGE', when, 'pending')])
    await client.execute('block-stream', byHand)
    peer.complete('j')
    await client.closed
    await peer.closed()
    const last = when === 'before' ? 'waiting' : 'pending'
    expect(client.messages.at(-1)).toMatchObject({ data: { id: 'j', status: last } })
    expect(peer.statusOf('j')).toBe('pending')
  })

  test('and the job runs to its end without a client', async () => {
    const { peer, client } = await start([], { progressPerTick: size / 4, tickMs: 1 })
    await client.execute('block-stream', byHand)
    peer.hangUp()
    await client.closed
    const again = await connect(peer)
    while (peer.statusOf('j') !== 'pending') await again.execute('query-jobs')
    await again.execute('job-finalize', { id: 'j' })
    expect(await again.execute('query-block-jobs')).toMatchObject([{ status: 'concluded', offset: size }])
  })

  test('and nobody listens after QEMU was killed, but its socket remains', async () => {
    const { peer, client } = await start()
    await peer.kill()
    await client.closed
    await expect(QmpClient.open(peer.path)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('and another QEMU answers at the same socket, without the job', async () => {
    const { peer, client } = await start()
    await client.execute('block-stream', byHand)
    await peer.restart()
    await client.closed
    const again = await connect(peer)
    expect(await again.execute('query-jobs')).toEqual([])
    expect((await again.execute('query-block'))[0].inserted).toMatchObject({ backing_file_depth: 1 })
  })
})

describe('a job', () => {
  test('disappears without a word about its end', async () => {
    const { peer, client } = await start()
    await client.execute('block-stream', byHand)
    peer.vanish('j')
    await client.status('j', 'null')
    expect(client.messages.filter(({ event }) => /^BLOCK_JOB/.test(event))).toEqual([])
    expect(await client.execute('query-jobs')).toEqual([])
  })

  test('pauses and continues without a request', async () => {
    const { peer, client } = await start()
    await client.execute('block-stream', byHand)
    await client.status('j', 'running')
    peer.drain('j')
    await client.status('j', 'paused')
    await client.status('j', 'running')
    expect(client.messages.slice(-2).map(({ data }) => data?.status)).toEqual(['paused', 'running'])
  })

  test('that is pending fails when it is finalized, and keeps the backing file', async () => {
    const { peer, client } = await start()
    await client.execute('block-stream', byHand)
    peer.complete('j')
    peer.fail('j', 'No space left on device')
    await client.execute('job-finalize', { id: 'j' })
    const completed = await client.event('BLOCK_JOB_COMPLETED')
    expect(completed.data).toMatchObject({ error: 'No space left on device', offset: size })
    expect((await client.execute('query-block'))[0].inserted).toMatchObject({ backing_file: 'base.qcow2' })
  })

  test('that runs out of space under on-error=enospc waits, and says why', async () => {
    const { peer, client } = await start()
    await client.execute('block-stream', { ...byHand, 'on-error': 'enospc' })
    peer.advance('j', 1000)
    peer.fail('j', 'No space left on device')
    const [job] = await client.execute('query-block-jobs')
    expect(job).toMatchObject({ status: 'paused', 'io-status': 'nospace', offset: 1000 })
  })

  test('that does not exist cannot be moved, and the error names those that do', async () => {
    const { peer } = await start()
    expect(() => peer.advance('zz', 1)).toThrow("there is no job 'zz'; there are: none")
  })
})

test('a removed fault no longer happens', async () => {
  const { peer, client } = await start()
  const behave = peer.misbehave(faults.refuse('query-jobs', { desc: 'no' }))
  await expect(client.execute('query-jobs')).rejects.toThrow('no')
  behave()
  expect(await client.execute('query-jobs')).toEqual([])
})

test('the log has commands and events in order, and received() gives each command once', async () => {
  const { peer, client } = await start()
  await client.execute('block-stream', byHand)
  peer.complete('j')
  await client.execute('job-finalize', { id: 'j' })
  expect(await peer.received('block-stream')).toMatchObject({ arguments: { device: 'vda' } })
  await expect(peer.received('block-stream', 20)).rejects.toThrow('command block-stream has not come in 20 ms')
  expect(peer.log.map(({ name }) => name).filter((name) => !/STATUS/.test(name))).toEqual([
    ...['qmp_capabilities', 'block-stream', 'BLOCK_JOB_PENDING', 'job-finalize', 'BLOCK_JOB_COMPLETED'],
  ])
})
