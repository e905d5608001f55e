// SPDX-License-Identifier: Apache-2.0
//
// Real deaths: a process that pulls is killed with SIGKILL at a random moment, over and over. After each death the
// image must open, have no corruption (leaks are allowed) and read the same; and a pull that is left alone must
// finish what the dead ones began, without a leak left.
//
// Each image dies some eight times in a row, so that a pull also meets what earlier deaths left behind. The seed is
// printed; it gives the same images and delays, but not the same instants. What a power cut can do beyond a kill
// (lose and reorder what was not flushed) is for the native tests of crashes.

import { afterAll, expect, test } from 'vitest'
import { Victim } from '../support/images/victim.js'
import { Puller } from '../support/processes/puller.js'
import { isSoak, Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const seed = runSeed()
const deathsWanted = isSoak ? 2000 : 200
const deathsEach = 8
const temp = new TempFolder('kill')

console.log(`kills: BLOCKPULL_SEED=${seed}`)
afterAll(() => temp.remove())

class Executioner {
  deaths = 0
  images = 0
  readonly failures: string[] = []

  /** One image after the other, until enough have died. */
  async work(): Promise<void> {
    while (this.deaths < deathsWanted && this.failures.length === 0) {
      const number = this.images++
      const random = new Random(`${seed}/kill/${number}`)
      const folder = temp.folder('victim')
      const victim = await Victim.make(random, folder)
      const complaints = await this.#torment(victim, random)
      if (complaints.length > 0) {
        const kept = temp.keep(folder)
        this.failures.push(
          [`BLOCKPULL_SEED=${seed}, image ${number} in '${kept}'`, ...complaints, ...victim.story].join('\n'),
        )
      }
    }
  }

  async #torment(victim: Victim, random: Random): Promise<string[]> {
    for (let turn = 0; turn < deathsEach; turn++) {
      if (await victim.killPull(new Puller(random.pick(['io_uring', 'threads'])))) this.deaths += 1
      const complaints = await victim.complaintsAfterDeath()
      if (complaints.length > 0) return [`after death ${turn + 1}`, ...complaints]
    }
    const puller = new Puller('io_uring')
    const complaints = await victim.finish(puller)
    await puller.close()
    return complaints
  }
}

test('an image whose pulls are killed at any moment is never harmed, and a last pull finishes them', {
  timeout: isSoak ? 3_600_000 : 300_000,
}, async () => {
  const executioner = new Executioner()
  await Promise.all([executioner.work(), executioner.work(), executioner.work()])
  console.log(`kills: ${executioner.deaths} deaths of ${executioner.images} images`)
  expect(executioner.failures.join('\n\n')).toBe('')
  expect(executioner.deaths).toBeGreaterThanOrEqual(deathsWanted)
})
