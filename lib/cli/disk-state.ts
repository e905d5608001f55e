// SPDX-License-Identifier: Apache-2.0
//
// What is going on with a disk, as far as another process can tell.
//
// A job in a guest's QEMU is seen by everybody. A job of blockpull's own engine is not, when it belongs to another
// process; but its lock on the image is, and names the process. So a disk that is shut off and has no job here is
// looked at: who has it open for writing, and is no QEMU, pulls it.

import type { BlockJobInfo, Disk, Domain } from '../index.js'
import type { Context } from './context.js'
import { isFailure } from './exit-codes.js'
import type { Wait } from './waiting.js'

export interface DiskState extends Disk {
  readonly job: BlockJobInfo<bigint> | null
  readonly inUseBy: string | null
  /** Code of the error that kept it from being looked at. */
  readonly error: string | null
  /** Its sentence. */
  readonly message: string | null
}

export async function diskState(context: Context, wait: Wait, domain: Domain, disk: Disk): Promise<DiskState> {
  try {
    const job = await domain.blockJobInfo(disk.target, { bigint: true })
    const isLocal = job === null && domain.state === 'shut off'
    const inUseBy = isLocal ? await userOf(context, disk) : null
    return { ...disk, job, inUseBy, error: null, message: null }
  } catch (thrown) {
    const error = wait.explain(thrown)
    if (!isFailure(error)) throw error
    return { ...disk, job: null, inUseBy: null, error: error.code, message: error.message }
  }
}

async function userOf(context: Context, disk: Disk): Promise<string | null> {
  const { format, backingFormats } = disk
  const [active] = await context.api.inspectChain(disk.source, { format, backingFormats, bigint: true })
  return active?.inUseBy ?? null
}

/** Who pulls a domain's disk in a process of its own, or `null`; an image that cannot be looked at has nobody. */
export async function pullerOf(context: Context, domain: Domain, name: string): Promise<string | null> {
  const disk = domain.disks.find(({ target, source }) => target === name || source === name)
  if (disk === undefined || domain.state !== 'shut off') return null
  const user = await userOf(context, disk).catch(() => null)
  return user !== null && !isQemu(user) ? user : null
}

/** Somebody who has the image open for writing and is not QEMU. */
export function isPulledElsewhere({ inUseBy }: DiskState): boolean {
  return inUseBy !== null && !isQemu(inUseBy)
}

function isQemu(user: string): boolean {
  return user.includes('(qemu')
}
