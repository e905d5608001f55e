// SPDX-License-Identifier: Apache-2.0
//
// The feed of a job: one latest value, waiters woken, nothing after the outcome.

import { expect, it } from 'vitest'
import { JobFeed } from '../../../lib/job/job-feed.js'
import { failure, outcomeOf, progressAt } from '../fake-binding.js'

it('takes the first value only if none has arrived before', () => {
  const feed = new JobFeed()
  feed.receive({ progress: progressAt(5n), outcome: null })
  feed.seed(progressAt(0n))
  expect(feed.progress).toEqual(progressAt(5n))
  expect(feed.version).toBe(1)
})

it('wakes whoever waits for a change, once for each', async () => {
  const feed = new JobFeed()
  const { changed } = feed
  feed.receive({ progress: progressAt(1n), outcome: null })
  await expect(changed).resolves.toBeUndefined()
  expect(feed.changed).not.toBe(changed)
})

it('takes nothing after the outcome', async () => {
  const feed = new JobFeed()
  feed.receive({ progress: progressAt(9n), outcome: outcomeOf('failed', failure('IO')) })
  feed.receive({ progress: progressAt(10n), outcome: outcomeOf('completed') })
  expect(feed.hasEnded).toBe(true)
  expect(feed.progress).toEqual(progressAt(9n))
  await expect(feed.ended).resolves.toMatchObject({ state: 'failed' })
})
