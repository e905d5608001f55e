// SPDX-License-Identifier: Apache-2.0
//
// A process that stands still: it keeps its sockets, and says nothing on them until it is woken.

import { readFileSync } from 'node:fs'
import { expect } from 'vitest'

/** Stops a process where it stands; resolves once it does. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) T /)
}

export function wake(pid: number): void {
  process.kill(pid, 'SIGCONT')
}
