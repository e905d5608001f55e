// SPDX-License-Identifier: Apache-2.0
//
// The last word on a live pull: the guest shuts off, nothing of ours is left in its QEMU, and the files are right.

import { expect } from 'vitest'
import type { LiveDisk } from './live-disk.js'

/** `base` is the path that the header of the top must lead to, null for none. */
export async function expectWhole(live: LiveDisk, base: string | null = null): Promise<void> {
  expect(await live.jobs()).toEqual([])
  await live.shutOff()
  expect(await live.complaints(base)).toEqual([])
}
