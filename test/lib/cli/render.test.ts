// SPDX-License-Identifier: Apache-2.0
//
// The progress line and the measures in it: what fits, what is left out, where it is drawn at all.

import { describe, expect, it } from 'vitest'
import { formatBytes, formatClock, formatSeconds, formatShare, formatTable } from '../../../lib/cli/measures.js'
import { canRedraw, ProgressLine, renderLine } from '../../../lib/cli/render.js'
import { widthOf } from '../../../lib/cli/shown.js'
import { sizeReader, toProgress } from '../../../lib/results/results.js'
import { progressAt } from '../fake-binding.js'

const at = (cur: bigint, more = {}) => toProgress(progressAt(cur, more), sizeReader<number>(false))
const plain = { width: 100, hasColour: false, hasBlocks: false }

describe('the line', () => {
  it('shows a bar, the share, the rate, the time left and the method', () => {
    expect(renderLine('a.qcow2', at(50n), plain)).toBe(
      `a.qcow2  ${'#'.repeat(20)}${'.'.repeat(20)}   50.0 %    10.0 MiB/s  0:05 left  io_uring`,
    )
  })

  it.each([...Array(60).keys()])('takes no more than %i columns, however wide its characters are', (width) => {
    for (const label of ['a.qcow2', '日本語のディスク.qcow2', '👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧', 'e\u0301e\u0301e\u0301']) {
      expect(widthOf(renderLine(label, at(50n), { ...plain, width }))).toBeLessThanOrEqual(width)
    }
  })

  it('leaves room for a bar by the columns of its label', () => {
    const line = renderLine('日本', at(50n), { ...plain, width: 60 })
    expect(line).toMatch(/^日本 {2}#+\.+ {2}/)
    expect(widthOf(line)).toBe(60)
  })

  it('says 100 % of a completed job only', () => {
    expect(renderLine('a', at(100n), plain)).toContain(' 99.9 %')
    expect(renderLine('a', at(100n, { state: 'completed' }), plain)).toContain('100.0 %')
    expect(renderLine('a', at(0n, { end: 0n }), plain)).toContain('  0.0 %')
  })

  it('says that a job is stopping', () => {
    expect(renderLine('a', at(50n, { state: 'aborting' }), plain)).toMatch(/50\.0 % {2}stopping {2}io_uring$/)
  })

  it('says what a job waits on', () => {
    const line = renderLine('a', at(50n, { stoppedOn: 'NO_SPACE' }), plain)
    expect(line).toMatch(/50\.0 % {2}waiting: disk full {2}io_uring$/)
    expect(renderLine('a', at(50n, { stoppedOn: 'IO' }), plain)).toContain('waiting: I/O error')
  })

  it('says why a job of QEMU stands still', () => {
    const line = (more: object) => renderLine('a', at(50n, more), plain)
    expect(line({ phase: 'paused' })).toMatch(/ {2}paused while the guest is migrated or saved {2}io_uring$/)
    expect(line({ phase: 'pending' })).toMatch(/ {2}waiting to be finished {2}io_uring$/)
    expect(line({ phase: 'pending', silentNs: 10_900_000_000n })).toMatch(/ {2}no answer for 0:10 {2}io_uring$/)
    expect(line({ silentNs: 9_900_000_000n })).toContain('MiB/s')
  })

  it('never is wider than its terminal, and leaves out the bar first', () => {
    for (let width = 0; width <= 120; width++) {
      const line = renderLine('overlay.qcow2', at(50n), { ...plain, width })
      expect(line.length).toBeLessThanOrEqual(width)
      if (width >= 30 && width < 60) expect(line).toMatch(/^overlay\.qcow2 {3}50\.0 %/)
    }
  })

  it('has blocks and colour if they are wanted', () => {
    const line = renderLine('a', at(50n), { ...plain, hasBlocks: true, hasColour: true })
    expect(line).toContain(`\u001b[32m${'█'.repeat(20)}${'░'.repeat(20)}\u001b[39m`)
  })
})

describe('drawing', () => {
  it.each([
    [{}, { TERM: 'xterm' }],
    [{ isTTY: true }, { TERM: 'dumb' }],
    [{ isTTY: true }, { CI: 'true' }],
  ])('is not done on %o in %o', (output, environment) => {
    expect(canRedraw({ write: () => undefined, ...output }, environment)).toBe(false)
  })

  it('redraws in place at a bounded rate and leaves nothing behind', () => {
    const written: string[] = []
    const output = { write: (text: string) => written.push(text), isTTY: true, columns: 60 }
    const line = new ProgressLine(output, { TERM: 'xterm' }, 'a')
    line.clear()
    expect(written).toEqual([])
    for (const now of [0, 10, 49, 50, 60]) line.draw(at(50n), now)
    expect(written).toHaveLength(2)
    expect(written[0]?.startsWith('\ra ')).toBe(true)
    expect(written[0]?.endsWith('\u001b[K')).toBe(true)
    line.clear()
    line.clear()
    expect(written.slice(2)).toEqual(['\r\u001b[K'])
  })

  it('writes nothing without a terminal', () => {
    const written: string[] = []
    const line = new ProgressLine({ write: (text: string) => written.push(text) }, {}, 'a')
    line.draw(at(50n))
    line.say('stopping')
    line.clear()
    expect(written).toEqual([])
  })
})

describe('measures', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1048575, '1.0 MiB'],
    [1572864, '1.5 MiB'],
    [2 ** 44, '16.0 TiB'],
    [Number.MAX_SAFE_INTEGER, '8.0 PiB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it.each([
    [0, '0:00'],
    [0.2, '0:01'],
    [59.5, '1:00'],
    [3599, '59:59'],
    [3661, '1:01:01'],
  ])('%d seconds on a clock are %s', (seconds, text) => {
    expect(formatClock(seconds)).toBe(text)
  })

  it('times a job finely when it is short', () => {
    expect([0.034, 1.26, 119, 120].map(formatSeconds)).toEqual(['0.03 s', '1.3 s', '119.0 s', '2:00'])
  })

  it('gives a share of something, and none of nothing', () => {
    expect(formatShare(1, 3)).toBe('33.3 %')
    expect(formatShare(0, 0)).toBe('-')
  })

  it('lines up a table without blanks at line ends', () => {
    expect(
      formatTable(
        [
          ['A', 'SIZE', ''],
          ['bbb', '1', 'x'],
        ],
        [1],
      ),
    ).toBe('A    SIZE\nbbb     1  x\n')
  })
})

describe('what is drawn', () => {
  it('fits the columns that there are at that moment', () => {
    const written: string[] = []
    const output = { isTTY: true, columns: 80, write: (text: string) => written.push(text) }
    const line = new ProgressLine(output, { LANG: 'C.UTF-8', NO_COLOR: '1' }, 'overlay.qcow2')
    for (const [index, columns] of [80, 20, 5, 1, 120].entries()) {
      output.columns = columns
      line.draw(at(50n), index * 1000)
      const drawn = written.at(-1)?.slice('\r'.length, -'\u001b[K'.length) ?? 'nothing'
      expect(widthOf(drawn)).toBeLessThan(columns)
    }
    expect(written).toHaveLength(5)
  })

  it('has nothing that a terminal would obey, whatever the image is called', () => {
    const written: string[] = []
    const output = { isTTY: true, columns: 200, write: (text: string) => written.push(text) }
    const line = new ProgressLine(output, { NO_COLOR: '1' }, 'a\n\u001b[2J\u202eb')
    line.draw(at(50n), 0)
    line.say('c\rd')
    expect(written[0]).toContain('a\\n\\x1b[2J\\u202eb  #')
    expect(written[1]).toBe('\r\u001b[Kc\\rd\n')
  })
})
