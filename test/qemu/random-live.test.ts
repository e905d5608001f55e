// SPDX-License-Identifier: Apache-2.0
//
// Random schedules on running guests: random chains under a real QEMU, pulled while the guest writes, takes snapshots
// and dies, while we are killed, cut off, closed or asked twice (random-live/round.ts), and judged after each step
// (random-live/verdict.ts).
//
// The seed is printed. BLOCKPULL_SEED=N with `-t 'round 7$'` plays the same round again, as far as the instants allow.

import { afterAll, expect, test } from 'vitest'
import { isSoak, Random, runSeed } from '../support/random.js'
import { tellRound } from '../support/random-live/round.js'
import { TempFolder } from '../support/temp-folder.js'

const seed = runSeed()
const rounds = Array.from({ length: isSoak ? 200 : 12 }, (_, round) => round)
const temp = new TempFolder('random-live')
afterAll(() => temp.remove())

console.log(`random live pulls: BLOCKPULL_SEED=${seed}`)

test.each(rounds)('no byte is lost and every report is true, whatever happens: round %i', async (round) => {
  const failure = await tellRound(new Random(`${seed}/live/${round}`), temp)
  expect(failure === null ? '' : `BLOCKPULL_SEED=${seed}, round ${round}: ${failure}`).toBe('')
})
