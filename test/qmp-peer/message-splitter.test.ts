// SPDX-License-Identifier: Apache-2.0
//
// Messages are found whatever the bytes are cut into, whatever stands between them, and whatever is in strings.

import { describe, expect, test } from 'vitest'
import { MessageSplitter } from './index.mjs'

const messages = ['{"a": "}{][\\"\\\\"}', '{\r\n    "b": [\r\n        {}\r\n    ]\r\n}', '[1]', '{"c": "é🎉"}']
const bytes = Buffer.from(`${messages.join('\r\n')}\r\n`)

describe('messages are found', () => {
  test.each([1, 2, 3, 5, 1000])('in pieces of %i bytes', (size) => {
    const splitter = new MessageSplitter()
    const found: string[] = []
    for (let at = 0; at < bytes.length; at += size) found.push(...splitter.push(bytes.subarray(at, at + size)))
    expect(found).toEqual(messages)
    expect(splitter.rest).toBe('')
  })

  test('with nothing between them, and the rest is kept', () => {
    const splitter = new MessageSplitter()
    expect(splitter.push(Buffer.from('{"a":1}{"b":2}{"c"'))).toEqual(['{"a":1}', '{"b":2}'])
    expect(splitter.rest).toBe('{"c"')
  })
})

test('bytes between messages come with the next one, for JSON to refuse', () => {
  expect(new MessageSplitter().push(Buffer.from('hello } {"a":1}'))).toEqual(['hello } {"a":1}'])
})
