// SPDX-License-Identifier: Apache-2.0
//
// The progress line: one line on a terminal, redrawn in place, gone when the job has ended.
//
//     overlay.qcow2  ████████████░░░░░░░░  61.3 %  50.0 MiB/s  0:12 left  io_uring
//
// It is drawn on stderr, and only if that is a terminal that can return to the start of a line (not TERM=dumb, not CI).
// The line never wraps, so that nothing scrolls. It reads the number of columns each time and leaves out what does not
// fit: the bar first, then from the right. It uses colour only without NO_COLOR, and block characters only in a UTF-8
// locale. `renderLine` is pure; `ProgressLine` keeps the stream and the clock.

import type { Progress as SizedProgress } from '../index.js'
import type { Output } from './context.js'
import { longSilenceSeconds, phaseWords, stopWords } from './job-words.js'
import { type Amount, formatClock, formatRate } from './measures.js'
import { cut, shown, widthOf } from './shown.js'

type Progress = SizedProgress<Amount>

export interface LineStyle {
  /** Columns that may be used. */
  readonly width: number
  readonly hasColour: boolean
  readonly hasBlocks: boolean
}

const widestBar = 40
const narrowestBar = 8
const betweenLinesMs = 50

/** The settled share in percent; 100 only for a job that has completed. */
function percentOf({ cur, end, state }: Progress): number {
  if (state === 'completed') return 100
  return end > 0 ? Math.min(99.9, (Number(cur) / Number(end)) * 100) : 0
}

export function renderLine(label: string, progress: Progress, style: LineStyle): string {
  const percent = percentOf(progress)
  const facts = [`${percent.toFixed(1).padStart(5)} %`]
  const still = stillWords(progress)
  if (still !== '') facts.push(still)
  else if (progress.bytesPerSecond > 0) facts.push(formatRate(progress.bytesPerSecond).padStart(12))
  if (progress.etaSeconds !== null && progress.state === 'running' && still === '') {
    facts.push(`${formatClock(progress.etaSeconds)} left`)
  }
  if (progress.method !== 'none') facts.push(progress.method)
  const room = style.width - facts.join('  ').length - widthOf(label) - 4
  if (room >= narrowestBar) {
    return `${label}  ${renderBar(percent, Math.min(room, widestBar), style)}  ${facts.join('  ')}`
  }
  const parts = [label, ...facts]
  while (parts.length > 1 && widthOf(parts.join('  ')) > style.width) parts.pop()
  return cut(parts.join('  '), Math.max(0, style.width))
}

/** Why nothing moves; '' if something does. */
function stillWords({ state, stoppedOn, phase, silentSeconds }: Progress): string {
  if (state === 'aborting') return 'stopping'
  if (silentSeconds >= longSilenceSeconds) return `no answer for ${formatClock(silentSeconds)}`
  return stoppedOn === null ? phaseWords(phase) : `waiting: ${stopWords(stoppedOn)}`
}

function renderBar(percent: number, width: number, style: LineStyle): string {
  const filled = Math.round((percent / 100) * width)
  const [full, empty] = style.hasBlocks ? ['█', '░'] : ['#', '.']
  const bar = full.repeat(filled) + empty.repeat(width - filled)
  return style.hasColour ? `\u001b[32m${bar}\u001b[39m` : bar
}

/** Whether `output` is a terminal on which a line can be redrawn. */
export function canRedraw(output: Output, environment: NodeJS.ProcessEnv): boolean {
  return output.isTTY === true && environment.TERM !== 'dumb' && !environment.CI
}

export class ProgressLine {
  readonly #output: Output
  readonly #label: string
  readonly #isShown: boolean
  readonly #hasColour: boolean
  readonly #hasBlocks: boolean
  #drawnAt = Number.NEGATIVE_INFINITY

  constructor(output: Output, environment: NodeJS.ProcessEnv, label: string) {
    this.#output = output
    this.#label = shown(label)
    this.#isShown = canRedraw(output, environment)
    this.#hasColour = !environment.NO_COLOR
    const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG || ''
    // A locale with wide characters may have wide blocks too: Unicode leaves it open.
    this.#hasBlocks = /utf-?8/i.test(locale) && !/^(zh|ja|ko)/i.test(locale)
  }

  /** Draws the line, unless it was drawn a moment ago. `now` is in milliseconds. */
  draw(progress: Progress, now = performance.now()): void {
    if (!this.#isShown || now - this.#drawnAt < betweenLinesMs) return
    this.#drawnAt = now
    const width = (this.#output.columns || 80) - 1
    const style = { width, hasColour: this.#hasColour, hasBlocks: this.#hasBlocks }
    this.#output.write(`\r${renderLine(this.#label, progress, style)}\u001b[K`)
  }

  /** Writes a sentence above the line. */
  say(sentence: string): void {
    if (this.#isShown) this.#output.write(`\r\u001b[K${shown(sentence)}\n`)
  }

  clear(): void {
    if (!Number.isFinite(this.#drawnAt)) return
    this.#drawnAt = Number.NEGATIVE_INFINITY
    this.#output.write('\r\u001b[K')
  }
}
