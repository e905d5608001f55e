// SPDX-License-Identifier: Apache-2.0
//
// Random chains, made and judged by QEMU's tools, pulled by the engine: over every dimension that the formats have
// (random-layer.ts), with every promise that can be seen from outside checked each time (pull-verdict.ts).
//
// The seed is printed. BLOCKPULL_SEED runs the same chains again, BLOCKPULL_CHAIN only one of them, by the name
// that the failure gives, such as 'partial/threads/17'. Two chains are in work at a time, and the pulls run in a
// child process for each I/O path, so that a crash there is a sentence here.

import { afterAll, describe, expect, test } from 'vitest'
import { attemptMany } from '../support/attempts.js'
import { type PullStory, pullRandomChain } from '../support/images/random-pull.js'
import { Puller } from '../support/processes/puller.js'
import { isSoak, Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const seed = runSeed()
const chainsEach = isSoak ? 840 : 26
const onlyChain = process.env['BLOCKPULL_CHAIN']
const folder = new TempFolder('chains')
const pullers = { io_uring: new Puller('io_uring'), threads: new Puller('threads') }

console.log(`random chains: BLOCKPULL_SEED=${seed}`)

afterAll(async () => {
  folder.remove()
  await Promise.all([pullers.io_uring.close(), pullers.threads.close()])
})

function pullMany(story: PullStory, io: 'io_uring' | 'threads'): Promise<string[]> {
  return attemptMany({ wants: (index) => index < chainsEach, mostFailures: 3 }, async (index) => {
    const name = `${story}/${io}/${index}`
    if (onlyChain !== undefined && onlyChain !== name) return []
    const random = new Random(`${seed}/${name}`)
    const failure = await pullRandomChain({ random, story, folder, pull: (request) => pullers[io].pull(request) })
    return failure === null ? [] : [`${failure}\n  BLOCKPULL_SEED=${seed} BLOCKPULL_CHAIN=${name}`]
  })
}

describe.each(['io_uring', 'threads'] as const)('over %s', (io) => {
  test.each([
    ['full', 'a full pull leaves an image that stands on its own and reads the same'],
    ['partial', 'a pull down to a base keeps it as backing file and reads the same'],
    ['aborted', 'an aborted pull reads the same, and another one finishes it'],
  ] as const)('random chains, %s: %s', { timeout: isSoak ? 7_200_000 : 600_000 }, async (story, _title) => {
    expect((await pullMany(story, io)).join('\n\n')).toBe('')
  })
})

test('each I/O path was the requested one', () => {
  expect(pullers.io_uring.printed).toBe('')
  expect(pullers.threads.printed).toBe('')
})
