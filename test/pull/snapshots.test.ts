// SPDX-License-Identifier: Apache-2.0
//
// A pull fills the active disk and every internal snapshot: afterwards each reads the same without the backing file,
// and QEMU can write, revert, snapshot and delete as on an untouched twin.

import { rmSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { checkImage, imageInfo, pullImage } from '../../lib/index.js'
import { attemptMany } from '../support/attempts.js'
import { DiskStates } from '../support/images/disk-states.js'
import { isSoak, Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('snapshots')
afterAll(() => temp.remove())

const seed = runSeed()
console.log(`images with snapshots: BLOCKPULL_SEED=${seed}`)

async function attempt(name: string): Promise<string | null> {
  const random = new Random(`${seed}/${name}`)
  const folder = temp.folder()
  try {
    const states = await DiskStates.create(folder, random)
    const base = states.below.length > 1 && random.chance(0.5) ? states.below.at(-1) : undefined
    const twin = states.twin()
    const wanted = await twin.digests()
    const job = await pullImage(states.top, { base })
    await job.done
    const steps: [string, unknown, unknown][] = [
      ['the backing file', (await imageInfo(states.top)).backingFile, base ?? null],
      ['qemu-img check', await states.check(), 'exit 0'],
      ['what the states read', await states.digests(), wanted],
      ['errors and leaks', await countsOf(states.top), [0, 0]],
    ]
    const life = `${seed}/${name}/life`
    steps.push(
      ['what QEMU answers later', await states.liveOn(new Random(life), 3), await twin.liveOn(new Random(life), 3)],
      ['what the states read later', await states.digests(), await twin.digests()],
    )
    for (const [what, now, expected] of steps) {
      if (JSON.stringify(now) !== JSON.stringify(expected)) {
        return `${name}: ${what}: ${JSON.stringify(now)} and not ${JSON.stringify(expected)}`
      }
    }
    rmSync(folder, { recursive: true })
    return null
  } catch (error) {
    return `${name}: ${error instanceof Error ? error.stack : error}`
  }
}

async function countsOf(path: string): Promise<number[]> {
  const { errors, leaks } = await checkImage(path)
  return [errors, leaks]
}

describe('random images with snapshots', () => {
  const only = process.env['BLOCKPULL_IMAGE']
  test('each state reads the same after the pull, and goes on as an untouched twin', {
    timeout: 7_200_000,
  }, async () => {
    const wants = (index: number) => index < (isSoak ? 2000 : 12)
    const failures = await attemptMany({ wants, mostFailures: 3 }, async (index) => {
      const name = `states/${index}`
      if (only !== undefined && only !== name) return []
      const failure = await attempt(name)
      return failure === null ? [] : [`${failure}\n  BLOCKPULL_SEED=${seed} BLOCKPULL_IMAGE=${name}`]
    })
    expect(failures.join('\n\n')).toBe('')
  })
})
