// SPDX-License-Identifier: Apache-2.0
//
// Pulls into images with extended L2 entries: 32 subclusters in each cluster, each there, zero or missing by itself.
// The random chains are made and judged as in random-chains.test.ts.

import { afterAll, describe, expect, test } from 'vitest'
import { attemptMany } from '../support/attempts.js'
import { type PullStory, pullRandomChain } from '../support/images/random-pull.js'
import { Puller } from '../support/processes/puller.js'
import { isSoak, Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const seed = runSeed()
const chainsEach = isSoak ? 120 : 3
const onlyChain = process.env['BLOCKPULL_CHAIN']
const temp = new TempFolder('extended')
const puller = new Puller('io_uring')
const bounds = { depths: [1, 1, 1, 2, 2, 3, 4], leastSize: 1, isExtended: true } as const

console.log(`random chains with extended L2: BLOCKPULL_SEED=${seed}`)

afterAll(async () => {
  temp.remove()
  await puller.close()
})

function pullMany(story: PullStory): Promise<string[]> {
  return attemptMany({ wants: (index) => index < chainsEach, mostFailures: 3 }, async (index) => {
    const name = `${story}/${index}`
    if (onlyChain !== undefined && onlyChain !== name) return []
    const random = new Random(`${seed}/${name}`)
    const failure = await pullRandomChain({ random, story, folder: temp, pull: puller.pull.bind(puller), bounds })
    return failure === null ? [] : [`${failure}\n  BLOCKPULL_SEED=${seed} BLOCKPULL_CHAIN=${name}`]
  })
}

describe('random chains', () => {
  test.each(['full', 'partial', 'aborted'] as const)(
    '%s pulls read the same, then and later',
    {
      timeout: isSoak ? 7_200_000 : 600_000,
    },
    async (story) => {
      expect((await pullMany(story)).join('\n\n')).toBe('')
    },
  )
})
