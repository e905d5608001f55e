// SPDX-License-Identifier: Apache-2.0
//
// That a plan promises no more than the pull keeps: its first refusal, or what it fails with, is the pull's own.

import { expect } from 'vitest'
import type { BlockJob } from '../../../lib/index.js'
import { BlockPullError, type Plan } from '../../../lib/index.js'

async function errorOf(call: () => Promise<unknown>): Promise<unknown> {
  return await call().then(
    (value) => new Error(`nothing was refused: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
}

/** Plans, pulls, and wants both to be refused with one code and one sentence. Gives the pull's error. */
export async function expectSameRefusal(
  plan: () => Promise<Plan>,
  pull: () => Promise<BlockJob>,
): Promise<BlockPullError> {
  const foretold = await errorOf(async () => {
    const [refusal] = (await plan()).refusals
    if (refusal !== undefined) throw refusal
    return 'the plan has no refusal'
  })
  const error = await errorOf(async () => await (await pull()).abort())
  if (!BlockPullError.is(foretold)) throw foretold
  if (!BlockPullError.is(error)) throw error
  const facts = ({ code, message, virCode, virDomain }: BlockPullError) => ({ code, message, virCode, virDomain })
  expect(facts(foretold)).toEqual(facts(error))
  return error
}
