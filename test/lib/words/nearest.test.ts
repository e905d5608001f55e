// SPDX-License-Identifier: Apache-2.0
//
// The word that was meant: what counts as near, and what does not.

import { describe, expect, it } from 'vitest'
import { nearest } from '../../../lib/words/nearest.js'

describe('the word that was meant', () => {
  it.each([
    ['pul', 'pull'],
    ['chian', 'chain'],
    ['BASE', 'base'],
  ])('for %s is %s', (typed, meant) => {
    expect(nearest(typed, ['pull', 'chain', 'base'])).toBe(meant)
  })

  it('is nothing when nothing is near', () => {
    expect(nearest('job', ['pull', 'chain', 'base'])).toBeNull()
  })
})
