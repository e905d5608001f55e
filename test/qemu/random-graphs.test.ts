// SPDX-License-Identifier: Apache-2.0
//
// Random graphs and lives: pulls under a real QEMU whose images are opened in every way, below and between filters of
// every kind, beside other disks and other programs' jobs, while the machine is stopped, saved, resumed and migrated
// (random-graph/lives.ts). The verdicts are in random-graph/verdict.ts.
//
// The seed is printed. BLOCKPULL_SEED=N with `-t 'round 7$'` plays the same round again, as far as the instants allow.

import { afterAll, expect, test } from 'vitest'
import { isSoak, Random, runSeed } from '../support/random.js'
import { playRound, type Tally } from '../support/random-graph/round.js'
import { TempFolder } from '../support/temp-folder.js'

const seed = runSeed()
const rounds = Array.from({ length: isSoak ? 1000 : 20 }, (_, round) => round)
const temp = new TempFolder('random-graphs')
const tally: Tally = new Map()
const began = performance.now()

afterAll(() => {
  temp.remove()
  const figures = [...tally].sort().map(([what, times]) => `  ${times} ${what}`)
  const seconds = Math.round((performance.now() - began) / 1000)
  console.log([`random graphs: ${rounds.length} rounds in ${seconds} s:`, ...figures].join('\n'))
})

console.log(`random graphs: BLOCKPULL_SEED=${seed}`)

test.each(rounds)('only the active image is written, and every report is true: round %i', async (round) => {
  const failure = await playRound(new Random(`${seed}/graph/${round}`), temp, tally)
  expect(failure === null ? '' : `BLOCKPULL_SEED=${seed}, round ${round}: ${failure}`).toBe('')
})
