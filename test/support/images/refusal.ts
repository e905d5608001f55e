// SPDX-License-Identifier: Apache-2.0
//
// The shape of every refusal: the API and the command say the same, in their ways, a plan has foretold it, and nothing
// is written, neither to the image nor to what lies beside it.

import { lstatSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { type BlockPullError, plan, pullImage } from '../../../lib/index.js'
import { blockpull } from '../processes/command.js'
import { digestsOf } from './files.js'
import { expectSameRefusal } from './same-refusal.js'

export interface Refusal {
  readonly code: string
  /** What the message must match, from the API and on stderr. */
  readonly sentence: RegExp
  /** Default: 1. */
  readonly exitCode?: number
}

/** Plans and pulls by the API, and pulls by the command; all must refuse. Gives the API's error. */
export async function expectRefusal(path: string, refusal: Refusal): Promise<BlockPullError> {
  const before = neighbours(path)
  const error = await expectSameRefusal(
    () => plan(path),
    () => pullImage(path),
  )
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
