// SPDX-License-Identifier: Apache-2.0
//
// Names as people are shown them, and as they were typed.

import { describe, expect, it } from 'vitest'
import { bytesOf, textOf, toPath, typedArguments } from '../../../lib/cli/command-line.js'
import { toJson } from '../../../lib/cli/json.js'
import { formatTable } from '../../../lib/cli/measures.js'
import { cut, padded, shown, tell, widthOf } from '../../../lib/cli/shown.js'
import { FakeTerminal } from './fake-context.js'

describe('a name', () => {
  it.each([
    ['a\nb', 'a\\nb'],
    ['\r\t', '\\r\\t'],
    ['\u001b]0;x\u0007', '\\x1b]0;x\\x07'],
    ['\u007f\u009b2J', '\\x7f\\x9b2J'],
    ['a\u202eb\u2066\u200b\u2028\ufeff', 'a\\u202eb\\u2066\\u200b\\u2028\\ufeff'],
    ['\ud800x', '\\ud800x'],
    ['\udcff', '\\xff'],
  ])('%j is spelled out', (name, spelled) => {
    expect(shown(name)).toBe(spelled)
    expect(shown(spelled)).toBe(spelled)
  })

  it.each(['overlay.qcow2', '日本語', '👩‍👩‍👧', "it's a \\ file", 'e\u0301'])('%s stays as it is', (name) => {
    expect(shown(name)).toBe(name)
  })
})

describe('lines for people', () => {
  it('end where the command ends them', () => {
    let written = ''
    tell({ write: (text) => (written += text) }, "'a\nb' is done", 'c')
    expect(written).toBe("'a\\nb' is done\nc\n")
  })

  it('have columns by what a terminal shows', () => {
    expect(
      formatTable([
        ['日本', 'x'],
        ['a\n', 'y'],
        ['abcd', 'z'],
      ]),
    ).toBe('日本  x\na\\n   y\nabcd  z\n')
    expect(padded('日本', 6, true)).toBe('  日本')
    expect([widthOf('日本x'), cut('日本語', 5), cut('👩‍👩‍👧a', 2), cut('abc', 0)]).toEqual([5, '日本', '👩‍👩‍👧', ''])
  })

  it.each([
    ['list --connect x', 'vm\u001b[2J'],
    ['reap --connect x', 'vm\u001b[2J'],
  ])('%s obey no domain', async (line, name) => {
    const terminal = new FakeTerminal()
    const [domain] = terminal.binding.domains
    if (domain === undefined) throw new Error('the binding has no domain')
    terminal.binding.domains = [{ ...domain, name }]
    await terminal.run(line)
    expect(terminal.out + terminal.err).not.toContain('\u001b')
  })
})

describe('arguments', () => {
  const kernel = (...all: readonly Buffer[]) => Buffer.concat(all.flatMap((bytes) => [bytes, Buffer.of(0)]))
  const bad = Buffer.from([0x61, 0xff, 0xe6, 0x97, 0x62])
  const node = [Buffer.from('node'), Buffer.from('main.js'), Buffer.from('pull')]

  it('get their bytes from the kernel if a string has lost some', () => {
    const [, typed = ''] = typedArguments(['pull', bad.toString()], () => kernel(...node, bad))
    expect(toPath(typed)).toEqual(bad)
    expect(shown(typed)).toBe('a\\xff\\xe6\\x97b')
  })

  it('are read from the kernel only then', () => {
    const argv = ['pull', '日本.qcow2']
    const asked = () => {
      throw new Error('asked')
    }
    expect(typedArguments(argv, asked)).toBe(argv)
    expect(toPath('日本.qcow2')).toBe('日本.qcow2')
  })

  it('stay as they are if the kernel has others', () => {
    const argv = ['pull', bad.toString()]
    expect(typedArguments(argv, () => kernel(Buffer.from('blockpull')))).toBe(argv)
    expect(typedArguments(argv, () => kernel(...node, Buffer.from('other')))).toBe(argv)
  })

  it.each([
    [[]],
    [[0xff]],
    [[0x80, 0xc3]],
    [[0xed, 0xa0, 0x80]],
    [[0xf0, 0x9f, 0x91, 0xa9, 0xf0]],
    [[0xef, 0xbb, 0xbf]],
  ])('hold the bytes %j', (bytes) => {
    expect([...bytesOf(textOf(Uint8Array.from(bytes)))]).toEqual(bytes)
  })
})

describe('JSON', () => {
  it('has names unchanged, and the bytes beside a name that is not UTF-8', () => {
    const name = 'a\u001b\u202e\n'
    expect(JSON.parse(toJson({ event: 'x', path: name }))).toEqual({ event: 'x', path: name })
    const typed = textOf(Buffer.from([0x61, 0xff]))
    const bytes = { path: 'a\ufffd', pathBytes: 'Yf8=' }
    expect(JSON.parse(toJson({ event: 'x', path: typed }))).toEqual({ event: 'x', ...bytes })
  })
})
