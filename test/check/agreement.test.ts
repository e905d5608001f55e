// SPDX-License-Identifier: Apache-2.0
//
// checkImage and `qemu-img check` count the same errors and the same leaks: on random images, and on images whose
// tables are damaged. The seed is printed; BLOCKPULL_SEED runs the same images again.
//
// Where the two differ on purpose, nothing is compared:
//
//     QEMU does not complete       it refuses the image as a whole, or meets an error of its own
//     we refuse the image          a table that the header states does not lie in the file (QEMU reads zeros there),
//                                  the snapshot table cannot be right, or L1 tables overlap

import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { BlockPullError, checkImage } from '../../lib/index.js'
import { attemptMany } from '../support/attempts.js'
import { damaged } from '../support/images/damage.js'
import { RandomQcow2 } from '../support/images/random-qcow2.js'
import { run } from '../support/processes/run-program.js'
import { isSoak, Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('agreement')
afterAll(() => temp.remove())

const seed = runSeed()
console.log(`checked images: BLOCKPULL_SEED=${seed}`)

interface Counts {
  readonly errors: number
  readonly leaks: number
  /** Clusters of the disk with space in the file, and the end of use. Of damaged images both may differ. */
  readonly allocated: number
  readonly end: number
}

/** What QEMU counts, or null if it does not complete. */
async function countedByQemu(path: string): Promise<Counts | null> {
  const { code, stdout } = await run('qemu-img', ['check', '-f', 'qcow2', '--output=json', path])
  if (code === 1) return null
  const report = JSON.parse(stdout) as Record<string, number | undefined>
  const count = (name: string) => report[name] ?? 0
  return {
    errors: count('corruptions'),
    leaks: count('leaks'),
    allocated: count('allocated-clusters'),
    end: count('image-end-offset'),
  }
}

async function countedByUs(path: string): Promise<Counts | null> {
  try {
    const { errors, leaks, allocatedClusters, imageEnd } = await checkImage(path, { format: 'qcow2' })
    return { errors, leaks, allocated: allocatedClusters, end: imageEnd }
  } catch (error) {
    if (BlockPullError.is(error) && error.code === 'IMAGE_CORRUPT') return null
    throw error
  }
}

function agree(theirs: Counts, ours: Counts, kind: 'sound' | 'damaged'): boolean {
  const isSame = theirs.errors === ours.errors && theirs.leaks === ours.leaks
  return isSame && (kind === 'damaged' || (theirs.allocated === ours.allocated && theirs.end === ours.end))
}

/** How many images were compared, and what differed. */
const compared = { sound: 0, damaged: 0 }

async function compare(path: string, name: string, kind: 'sound' | 'damaged'): Promise<string[]> {
  const [theirs, ours] = [await countedByQemu(path), await countedByUs(path)]
  if (theirs === null || (ours === null && kind === 'damaged')) return []
  compared[kind] += 1
  if (ours !== null && agree(theirs, ours, kind)) return []
  return [`${name}: QEMU counts ${JSON.stringify(theirs)}, we count ${JSON.stringify(ours)}`]
}

/** One image, its state after each step, and damaged copies of the last state. */
async function compareImage(name: string): Promise<string[]> {
  const random = new Random(`${seed}/${name}`)
  const folder = temp.folder()
  const image = await RandomQcow2.create(`${folder}/image.qcow2`, random)
  const failures: string[] = []
  for (let step = 0; step < 5; step += 1) {
    await image.step()
    failures.push(...(await compare(image.path, `${name}, step ${step}`, 'sound')))
  }
  const bytes = readFileSync(image.path)
  for (let copy = 0; copy < 3; copy += 1) {
    const path = `${folder}/damaged-${copy}.qcow2`
    writeFileSync(path, damaged(bytes, random))
    failures.push(...(await compare(path, `${name}, damaged copy ${copy}`, 'damaged')))
  }
  failures.length === 0 ? temp.discard(folder) : failures.push(`kept in ${temp.keep(folder)}`)
  return failures
}

test('random and damaged images: the same errors and leaks as QEMU', { timeout: 7_200_000 }, async () => {
  const images = isSoak ? 1000 : 14
  const wants = (index: number) => index < images
  const failures = await attemptMany({ wants, mostFailures: 6 }, (index) => compareImage(`image ${index}`))
  expect(failures).toEqual([])
  console.log(`compared ${compared.sound} images and ${compared.damaged} damaged ones`)
  expect(compared.sound).toBeGreaterThan(images * 4.5)
  expect(compared.damaged).toBeGreaterThan(images * 2)
})
