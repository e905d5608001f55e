// SPDX-License-Identifier: Apache-2.0
//
// Calls that go through tables or data for long: how they are aborted, and how their progress is told.
//
// The addon has an object for each call, which tells how far the call is when it is asked, and which is told to give
// up. An aborted call ends within milliseconds; where its thread waits for a disk or for a guest's QEMU that does not
// answer, the caller is let go after a moment, and the thread ends when it can. What `onProgress` throws is an uncaught
// exception, as what a job's listeners throw, and no failure of the call.

import type { NativeWalk, NativeWalkProgress } from '../native.js'
import { AbortError, BlockPullError, called } from '../results/errors.js'
import type { WalkProgress } from '../results/structs.js'
import { onAbort } from './abort-listeners.js'

/** Between two looks at the progress. */
const intervalMs = 100

/** How long an aborted call may take to end before its caller is let go. */
const lastPatienceMs = 100

/** What such a call is given beside its request. */
export interface WalkGiven {
  readonly signal: AbortSignal | null
  readonly onProgress: ((progress: WalkProgress<never>) => void) | null
  readonly bigint: boolean
}

function abortedBy(signal: AbortSignal): AbortError {
  return new AbortError(signal.reason, 'the call was aborted by its signal; nothing was changed')
}

/** Tells what is new, and of each phase its beginning. */
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

/** Awaits the call, or its abort and a moment. */
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

/** Makes a call that walks, with its signal and its progress; `newWalk` is asked for when it begins. */
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
