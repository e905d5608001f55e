// SPDX-License-Identifier: Apache-2.0
//
// Repairs of random images whose tables are damaged. QEMU is the judge: it counts what is left as the report does,
// and reads the same bytes from the disk and from every snapshot as before. A second repair has nothing to do.
//
// The seed is printed; BLOCKPULL_SEED runs the same images again. An image that QEMU does not read is not compared.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { BlockPullError, type CheckReport, checkImage } from '../../lib/index.js'
import { attemptMany } from '../support/attempts.js'
import { damaged } from '../support/images/damage.js'
import { digestOf } from '../support/images/files.js'
import { RandomQcow2 } from '../support/images/random-qcow2.js'
import { run } from '../support/processes/run-program.js'
import { isSoak, Random, runSeed } from '../support/random.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('random-repair')
afterAll(() => temp.remove())

const seed = runSeed()
const wanted = Number(process.env['BLOCKPULL_REPAIRS'] ?? (isSoak ? 2000 : 16))
console.log(`repaired images: BLOCKPULL_SEED=${seed}`)

/**
 * What a repair can put right. Copied flags alone may be left: in a table whose cluster is also used for something
 * else, and in a table of a snapshot.
 */
const curable = new Set(['refcount-low', 'refcount-block', 'copied-flag', 'leak'])

const figures = { repairs: 0, refused: 0, whole: 0, left: 0, snapshots: 0 }

/** The report, or the code of the error. */
async function checked(path: string, repair?: 'leaks' | 'all'): Promise<CheckReport | string> {
  try {
    return await checkImage(path, { format: 'qcow2', repair })
  } catch (error) {
    if (BlockPullError.is(error)) return error.code
    throw error
  }
}

/** What the guest reads, or null if QEMU does not read it. `snapshot`: by its name. */
async function content(path: string, snapshot?: string): Promise<string | null> {
  const raw = `${path}.raw`
  const from = snapshot === undefined ? [] : ['-l', `snapshot.name=${snapshot}`]
  const { code } = await run('qemu-img', ['convert', '-f', 'qcow2', ...from, '-O', 'raw', path, raw])
  return code === 0 ? digestOf(raw) : null
}

interface QemuInfo {
  readonly snapshots?: readonly { readonly name: string }[]
  readonly 'format-specific'?: { readonly data: { readonly bitmaps?: unknown } }
}

async function info(path: string): Promise<QemuInfo> {
  const { stdout } = await run('qemu-img', ['info', '-f', 'qcow2', '--output=json', path])
  return stdout === '' ? {} : (JSON.parse(stdout) as QemuInfo)
}

async function contentComplaints(before: string, after: string): Promise<string[]> {
  const [was, is] = [await info(before), await info(after)]
  const complaints: string[] = []
  if (JSON.stringify(was.snapshots) !== JSON.stringify(is.snapshots)) complaints.push('other snapshots')
  const bitmaps = ({ 'format-specific': specific }: QemuInfo) => JSON.stringify(specific?.data.bitmaps)
  if (bitmaps(was) !== bitmaps(is)) complaints.push('other bitmaps')
  for (const name of [undefined, ...(was.snapshots ?? []).map((snapshot) => snapshot.name)]) {
    const expected = await content(before, name)
    if (expected === null) continue
    if (name !== undefined) figures.snapshots += 1
    if (expected !== (await content(after, name))) complaints.push(`${name ?? 'the disk'} reads other bytes`)
  }
  return complaints
}

async function countComplaints(path: string, report: CheckReport): Promise<string[]> {
  const { code, stdout } = await run('qemu-img', ['check', '-f', 'qcow2', '--output=json', path])
  if (code === 1) return []
  const theirs = JSON.parse(stdout) as { corruptions?: number; leaks?: number }
  const isSame = (theirs.corruptions ?? 0) === report.errors && (theirs.leaks ?? 0) === report.leaks
  return isSame ? [] : [`QEMU counts ${stdout}, we count ${report.errors} errors and ${report.leaks} leaks`]
}

/** What is wrong with the repair of one damaged image. */
async function repairComplaints(original: string, path: string, scope: 'leaks' | 'all'): Promise<string[]> {
  const before = await checked(original)
  const after = await checked(path, scope)
  figures.repairs += 1
  if (typeof after === 'string') {
    figures.refused += 1
    return digestOf(original) === digestOf(path) ? [] : [`bytes have changed, and the repair ended with ${after}`]
  }
  if (typeof before === 'string') return [`the check ended with ${before}, the repair with a report`]
  const complaints = await countComplaints(path, after)
  const isCurable = before.findings.every(({ severity, code }) => severity === 'note' || curable.has(code))
  const left = after.findings.filter(({ severity, code }) => severity !== 'note' && code !== 'copied-flag')
  if (isCurable && left.length > 0 && (scope === 'all' || before.errors === 0)) {
    complaints.push(`left: ${left.map(({ message }) => message).join('; ')}`)
  }
  if (after.errors > before.errors && left.length > 0)
    complaints.push(`${after.errors} errors, before ${before.errors}`)
  figures[after.errors + after.leaks === 0 ? 'whole' : 'left'] += 1
  complaints.push(...(await contentComplaints(original, path)))
  const digest = digestOf(path)
  const again = await checked(path, scope)
  // Of an image that the first one has made understood, the second one may take back leaks.
  const isBetter = typeof again !== 'string' && again.errors + again.leaks < after.errors + after.leaks
  if (digestOf(path) !== digest && !isBetter) complaints.push(`a second repair has written: ${JSON.stringify(again)}`)
  return complaints
}

async function repairImage(name: string): Promise<string[]> {
  const random = new Random(`${seed}/${name}`)
  const folder = temp.folder()
  const image = await RandomQcow2.create(`${folder}/image.qcow2`, random)
  for (let step = 0; step < 5; step += 1) await image.step()
  const failures: string[] = []
  for (let copy = 0; copy < 4; copy += 1) {
    const original = `${folder}/damaged-${copy}.qcow2`
    const path = `${folder}/repaired-${copy}.qcow2`
    const rounds = random.between(1, 3)
    let bytes: Buffer = readFileSync(image.path)
    for (let round = 0; round < rounds; round += 1) bytes = damaged(bytes, random)
    writeFileSync(original, bytes)
    copyFileSync(original, path)
    const scope = copy === 3 ? 'leaks' : 'all'
    const complaints = await repairComplaints(original, path, scope)
    failures.push(...complaints.map((complaint) => `${name}, copy ${copy}, ${scope}: ${complaint}`))
  }
  failures.length === 0 ? temp.discard(folder) : failures.push(`kept in ${temp.keep(folder)}`)
  return failures
}

test('after a repair QEMU counts and reads the same, and a second one writes nothing', {
  timeout: 7_200_000,
}, async () => {
  const wants = () => figures.repairs < wanted
  const failures = await attemptMany({ wants, mostFailures: 6 }, (index) => repairImage(`image ${index}`))
  console.log(`repairs: ${JSON.stringify(figures)}`)
  expect(failures).toEqual([])
  expect(figures.whole).toBeGreaterThan(wanted / 8)
})
