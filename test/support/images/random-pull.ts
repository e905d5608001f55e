// SPDX-License-Identifier: Apache-2.0
//
// One random chain, pulled and judged from beginning to end: the story that random-chains.test.ts tells some
// hundred times. Gives null when all held, and otherwise everything that is needed to see it again: the seed, the
// commands that made the chain, what was asked for, and where the files were kept.

import { plan } from '../../../lib/index.js'
import type { PullReport, PullRequest } from '../processes/puller.js'
import { check, compressedClusters, isDamaged, tryQemuIo } from '../qemu/qemu.js'
import type { Random } from '../random.js'
import type { TempFolder } from '../temp-folder.js'
import { digestOf } from './files.js'
import { Judge } from './pull-verdict.js'
import { type ChainBounds, makeRandomChain, type RandomChain } from './random-chain.js'
import { Twin } from './twin.js'

/** How much is pulled, and whether it is broken off on the way. */
export type PullStory = 'full' | 'partial' | 'aborted'

export interface PullAttempt {
  readonly random: Random
  readonly story: PullStory
  readonly folder: TempFolder
  readonly pull: (request: PullRequest) => Promise<PullReport>
  /** Default: any chain. */
  readonly bounds?: ChainBounds
}

export async function pullRandomChain(attempt: PullAttempt): Promise<string | null> {
  let chain: RandomChain = { folder: attempt.folder.folder('chain'), layers: [], commands: [] }
  const asked: string[] = []
  try {
    for (;;) {
      chain = await makeRandomChain(attempt.random, chain.folder, attempt.bounds)
      if (!(await isChainDamaged(chain))) break
      attempt.folder.discard(chain.folder)
      chain = { folder: attempt.folder.folder('chain'), layers: [], commands: [] }
    }
    const complaints = await tell(attempt, chain, asked)
    if (complaints.length > 0) return describe(attempt, chain, asked, complaints)
    attempt.folder.discard(chain.folder)
    return null
  } catch (error) {
    return describe(attempt, chain, asked, [error instanceof Error ? `${error.stack}` : String(error)])
  }
}

/** A chain that QEMU itself has damaged is none to judge a pull by, which refuses it. */
export async function isChainDamaged({ layers }: RandomChain): Promise<boolean> {
  for (const { path, format } of layers) {
    if (format === 'qcow2' && (await isDamaged(path))) return true
  }
  return false
}

async function tell(
  { random, story, pull, bounds }: PullAttempt,
  chain: RandomChain,
  asked: string[],
): Promise<string[]> {
  const path = chain.layers[0]?.path ?? ''
  const wantsBase = story === 'partial' || (story === 'aborted' && random.chance(0.4))
  const base = wantsBase ? random.between(1, chain.layers.length - 1) : null
  const judge = await Judge.watch(chain)
  const twin = bounds?.isExtended === true ? Twin.of(chain) : null
  const options = { ...(base === null ? {} : { base: chain.layers[base]?.path ?? '' }), ...(await remnants(chain)) }
  const ask = (request: PullRequest) => {
    asked.push(JSON.stringify({ options: request.options, abortAfterMs: request.abortAfterMs }))
    return pull(request)
  }
  const aborts = story === 'aborted' ? random.between(1, 3) : 0
  for (let left = aborts; left > 0; left--) {
    const bytesPerSecond = random.scaled(65536, 16777216)
    const report = await ask({ path, options: { ...options, bytesPerSecond }, abortAfterMs: random.below(60) })
    if (report.state !== 'cancelled' && report.state !== 'completed') return [JSON.stringify(report)]
    const complaints = await judge.complaintsMeanwhile()
    if (complaints.length > 0) return [`after ${JSON.stringify(report)}`, ...complaints]
    if (report.state === 'completed') break
  }
  const report = await ask({ path, options })
  if (report.state !== 'completed') return [JSON.stringify(report)]
  const complaints = [
    ...(await judge.complaints(base)),
    ...((await twin?.complaints(random)) ?? []),
    ...(await repeat(ask, path, options)),
  ]
  return complaints.length > 0 ? [JSON.stringify(report), ...complaints] : []
}

/** What is left of compressed clusters, where the image has no other, may be refused: docs/crash-safety.md. */
async function remnants(chain: RandomChain): Promise<{ readonly trailingData?: 'discard' }> {
  const path = chain.layers[0]?.path ?? ''
  if (!chain.commands.some((command) => command.includes('write -c')) || (await compressedClusters(path))) return {}
  const { refusals } = await plan(path)
  return refusals.some(({ message }) => message.includes('after its end')) ? { trailingData: 'discard' } : {}
}

/** A second pull changes nothing, and QEMU can write to the image afterwards. */
async function repeat(
  ask: (request: PullRequest) => Promise<PullReport>,
  path: string,
  options: NonNullable<PullRequest['options']>,
): Promise<string[]> {
  const complaints: string[] = []
  const before = digestOf(path)
  const again = await ask({ path, options })
  if (again.state !== 'completed' || again.bytesMoved !== 0) {
    complaints.push(`the second pull is not nothing: ${JSON.stringify(again)}`)
  }
  if (digestOf(path) !== before) complaints.push('the second pull changed the file')
  const written = await tryQemuIo(path, 'qcow2', 'write -P 7 0 512', 'read -P 7 0 512')
  if (written.code !== 0) complaints.push(`qemu-io cannot write: ${written.stdout}${written.stderr}`)
  const checked = await check(path)
  if (checked.code !== 0) complaints.push(`after a write by qemu-io: ${checked.report}`)
  return complaints
}

function describe(attempt: PullAttempt, chain: RandomChain, asked: readonly string[], complaints: readonly string[]) {
  const kept = attempt.folder.keep(chain.folder)
  return [
    `  made by (files kept in '${kept}'):`,
    ...chain.commands.map((command) => `    ${command}`),
    `  pulls asked for: ${asked.join(', ')}`,
    ...complaints.map((complaint) => `  ${complaint.trim()}`),
  ].join('\n')
}
