// SPDX-License-Identifier: Apache-2.0
//
// The state of a disk, as far as another process can see it.
//
// Every process sees a job in a guest's QEMU. It does not see another process's job of blockpull's own engine, but it
// sees the lock on the image, which names the process. So for a shut-off disk without a job here this asks who has the
// image open for writing. If that is not QEMU, it is pulling the disk.

import type { BlockJobInfo, Disk, Domain } from '../index.js'
import type { Context } from './context.js'
import { isFailure } from './exit-codes.js'
import type { Wait } from './waiting.js'

export interface DiskState extends Disk {
  readonly job: BlockJobInfo<bigint> | null
  readonly inUseBy: string | null
  /** Code of the error that prevented reading its state. */
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

/** The other process that pulls a domain's disk, or `null`; `null` also if the image cannot be read. */
export async function pullerOf(context: Context, domain: Domain, name: string): Promise<string | null> {
  const disk = domain.disks.find(({ target, source }) => target === name || source === name)
  if (disk === undefined || domain.state !== 'shut off') return null
  const user = await userOf(context, disk).catch(() => null)
  return user !== null && !isQemu(user) ? user : null
}

/** Whether a process other than QEMU has the image open for writing. */
export function isPulledElsewhere({ inUseBy }: DiskState): boolean {
  return inUseBy !== null && !isQemu(inUseBy)
}

function isQemu(user: string): boolean {
  return user.includes('(qemu')
}
