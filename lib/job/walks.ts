// SPDX-License-Identifier: Apache-2.0
//
// Long calls that read tables or data: how they are aborted, and how their progress is reported.
//
// The addon has an object for each call. It gives the call's progress, and it can make the call give up. An aborted
// call ends. If its thread waits for a disk or for a guest's QEMU that does not answer, the caller
// returns after a moment, and the thread ends when it can. An exception of `onProgress` is uncaught, like one of a
// job's listeners, and does not fail the call.

import type { NativeWalk, NativeWalkProgress } from '../native.js'
import type { WalkGiven } from '../options/options.js'
import { AbortError, BlockPullError, called } from '../results/errors.js'
import type { WalkProgress } from '../results/structs.js'
import { onAbort } from './abort-listeners.js'

/** Between two polls of the progress. */
const intervalMs = 100

/** How long an aborted call may take to end before its caller returns. */
const lastPatienceMs = 100

function abortedBy(signal: AbortSignal): AbortError {
  return new AbortError(signal.reason, 'the call was aborted by its signal; nothing was changed')
}

/** Reports new progress, and the beginning of each phase. */
class WalkTeller {
  readonly #given: WalkGiven
  #phase = ''
  #told = 0n

  constructor(given: WalkGiven) {
    this.#given = given
  }

  tell(progress: NativeWalkProgress | null): void {
    if (progress === null) return
    if (progress.phase !== this.#phase) this.#send({ ...progress, bytesDone: 0n })
    if (progress.bytesDone !== this.#told) this.#send(progress)
  }

  #send({ phase, bytesDone, bytesTotal }: NativeWalkProgress): void {
    this.#phase = phase
    this.#told = bytesDone
    const size = (bytes: bigint) => (this.#given.bigint ? bytes : Number(bytes))
    try {
      this.#given.onProgress?.({
        phase,
        bytesDone: size(bytesDone),
        bytesTotal: size(bytesTotal),
      } as WalkProgress<never>)
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown
      })
    }
  }
}

/** Awaits the call, but only briefly once it is aborted. */
async function untilAborted<T>(given: WalkGiven, walk: NativeWalk, call: () => Promise<T>): Promise<T> {
  const { signal } = given
  if (signal === null) return await called(call)
  let release: (() => void) | undefined
  let timer: NodeJS.Timeout | undefined
  const givenUp = new Promise<never>((_, reject) => {
    release = onAbort(signal, () => {
      walk.giveUp()
      timer = setTimeout(() => reject(abortedBy(signal)), lastPatienceMs)
    })
  })
  try {
    return await Promise.race([called(call), givenUp])
  } catch (error) {
    throw signal.aborted && BlockPullError.is(error) && error.code === 'CANCELLED' ? abortedBy(signal) : error
  } finally {
    release?.()
    clearTimeout(timer)
  }
}

/** Makes a long call with its signal and its progress; calls `newWalk` first. */
export async function walked<T>(
  given: WalkGiven,
  newWalk: () => NativeWalk,
  call: (walk: NativeWalk) => Promise<T>,
): Promise<T> {
  const { signal, onProgress } = given
  if (signal?.aborted) throw abortedBy(signal)
  const walk = newWalk()
  const teller = new WalkTeller(given)
  const timer = onProgress === null ? undefined : setInterval(() => teller.tell(walk.progress()), intervalMs)
  try {
    const result = await untilAborted(given, walk, () => call(walk))
    if (signal?.aborted) throw abortedBy(signal)
    if (onProgress !== null) teller.tell(walk.progress())
    return result
  } finally {
    clearInterval(timer)
  }
}
