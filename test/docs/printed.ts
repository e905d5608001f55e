// SPDX-License-Identifier: Apache-2.0
//
// Compares what an example prints with what its document says that it prints. Pure functions over lines.
//
// Words and sizes must be the same. What differs from run to run and from machine to machine counts as the same: times,
// rates, process ids, free space, space on disk, how far a job has come, the way that the kernel lets us read. A script
// says what it prints in comments, `// => 3 layers`; there `...` stands for any text.

/** What is not compared: each match becomes the text beside it. */
const variable: readonly (readonly [RegExp, string])[] = [
  [/\b(io_uring|threads)\b/g, 'METHOD'],
  [/in less than 0\.01 s \(METHOD\)|in [\d.:]+( s)? \([\d.]+ [KMG]iB\/s, METHOD\)/g, 'in TIME'],
  [/of [\d.]+ [KMGTPE]iB free/g, 'of SPACE free'],
  [/cancelled after [\d.]+ [KM]?i?B/g, 'cancelled after SIZE'],
  [/\bpid \d+/g, 'pid PID'],
  [/Block Pull, [\d.]+ % \([\d.]+ [KMG]?i?B of/g, 'Block Pull, SHARE of'],
  [/\bpull, [\d.]+ %/g, 'pull, SHARE'],
  [/^ cur=\d+$/g, ' cur=CUR'],
  [/\b(qcow2|raw)( +[\d.]+ [KMG]iB) +[\d.]+ [KMG]iB/g, '$1$2 ON-DISK'],
  [/"(bytesFree|seconds|bytesPerSecond|etaSeconds|allocatedBytes|cur)":[\w.+-]+/g, '"$1":N'],
  [/(?<="event":"progress".*)"(bytesMoved|bytesToMove)":\d+/g, '"$1":N'],
  [/(?<="event":"progress".*)"method":"\w+"/g, '"method":"METHOD"'],
  [/ {2,}/g, '  '],
]

function comparable(line: string): string {
  return variable.reduce((text, [pattern, name]) => text.replace(pattern, name), line)
}

/** Whether a transcript is right; a line '...' of `expected` stands for any number of lines. */
export function isPrinted(expected: readonly string[], printed: readonly string[]): boolean {
  return isSame(expected.filter(isResult), printed.filter(isResult))
}

/** That a command waits is said after a second, which may or may not pass. */
function isResult(line: string): boolean {
  return !line.startsWith("waiting for '")
}

function isSame(expected: readonly string[], printed: readonly string[]): boolean {
  const [first, ...rest] = expected
  if (first === undefined) return printed.length === 0
  if (first === '...') return printed.some((_, at) => isSame(rest, printed.slice(at))) || isSame(rest, [])
  const [line, ...others] = printed
  return line !== undefined && comparable(line) === comparable(first) && isSame(rest, others)
}

/** What a script says that it prints, in order: each a pattern for one line. */
export function promisedLines(script: string): RegExp[] {
  return [...script.matchAll(/\/\/ => (.*)$/gm)].map(([, text = '']) => {
    const parts = text.split('...').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    return new RegExp(`^${parts.join('.*')}$`)
  })
}

/** The first promised line that is not printed behind those before it; `null` when all are. */
export function brokenPromise(promised: readonly RegExp[], out: string): RegExp | null {
  const lines = out.split('\n')
  let from = 0
  for (const pattern of promised) {
    const at = lines.findIndex((line, index) => index >= from && pattern.test(line))
    if (at < 0) return pattern
    from = at + 1
  }
  return null
}
