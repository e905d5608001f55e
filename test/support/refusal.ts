// SPDX-License-Identifier: Apache-2.0
//
// The shape of every refusal: the API and the command say the same, in their ways, and nothing is written, neither
// to the image nor to what lies beside it.

import { lstatSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { BlockPullError, pullImage } from '../../lib/index.js'
import { blockpull } from './command.js'
import { digestsOf } from './files.js'

export interface Refusal {
  readonly code: string
  /** What the message must match, from the API and on stderr. */
  readonly sentence: RegExp
  /** Default: 1. */
  readonly exitCode?: number
}

/** Pulls by the API and by the command; both must refuse. Gives the API's error. */
export async function expectRefusal(path: string, refusal: Refusal): Promise<BlockPullError> {
  const before = neighbours(path)
  const error = await pullImage(path).then(
    async (job) => new Error(`the pull began, and ended as ${JSON.stringify(await job.abort())}`),
    (thrown: unknown) => thrown,
  )
  if (!BlockPullError.is(error)) throw error
  expect(error).toMatchObject({ code: refusal.code })
  expect(error.message).toMatch(refusal.sentence)
  const { code, stdout, stderr } = await blockpull('pull', '--json', path)
  expect(stderr).toMatch(refusal.sentence)
  expect(JSON.parse(stdout)).toMatchObject({ event: 'end', state: 'failed', code: refusal.code, bytesMoved: 0 })
  expect(code).toBe(refusal.exitCode ?? 1)
  expect(neighbours(path)).toBe(before)
  return error
}

/** Name and digest of every regular file in the folder of `path`. */
function neighbours(path: string): string {
  const folder = dirname(path)
  if (folder === '/dev') return ''
  const files = readdirSync(folder).map((name) => join(folder, name))
  return digestsOf(files.filter((file) => lstatSync(file).isFile()))
}
