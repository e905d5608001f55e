// SPDX-License-Identifier: Apache-2.0
//
// Many attempts of one kind, each with a number, two at a time: what a random test does.

/** Which attempts are made, and after how many failures no further one begins. */
export interface Attempts {
  /** Whether attempt `index` is wanted. They are asked for in order, until one is not. */
  readonly wants: (index: number) => boolean
  readonly mostFailures: number
}

/** Gives what the attempts complain of; an attempt without complaints has not failed. */
export async function attemptMany(
  { wants, mostFailures }: Attempts,
  attempt: (index: number) => Promise<readonly string[]>,
): Promise<string[]> {
  const failures: string[] = []
  let next = 0
  const work = async () => {
    while (failures.length < mostFailures && wants(next)) failures.push(...(await attempt(next++)))
  }
  await Promise.all([work(), work()])
  return failures
}
