// SPDX-License-Identifier: Apache-2.0
//
// Which word was meant by a misspelt one: an option of a call, an option or a command on a command line.
//
// The measure is the edit distance, and a word counts as near when at most about a third of what was typed is wrong.
// Used by the library and by the command alike, so that both guess in the same way. Pure functions.

/** The word most like `typed`, or `null` when none is near enough to be meant. */
export function nearest(typed: string, words: readonly string[]): string | null {
  let best: string | null = null
  let bestDistance = Math.ceil(typed.length / 3) + 1
  for (const word of words) {
    const distance = editDistance(typed.toLowerCase(), word.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [word, distance]
  }
  return best
}

/** How many characters must be put in, taken out or replaced to make `b` of `a`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
