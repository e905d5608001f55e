// SPDX-License-Identifier: Apache-2.0
//
// The addon itself, without the TypeScript that checks its input: whatever is passed, it throws a TypeError that
// names the property, or rejects, and the process goes on.

import { expect, test } from 'vitest'
import { loadBinding, type NativeBinding } from '../../lib/native.js'

const binding = loadBinding() as unknown as Record<string, (...args: unknown[]) => unknown>
const ignore = () => undefined
const image = { path: 'none.qcow2', format: null, backingFormat: null, backingFormats: null, backingPaths: null }

const pull = { ...image, base: null, bandwidth: 0n, siblings: null, trailingData: 'refuse' }

const nonsense: readonly unknown[] = [
  undefined,
  null,
  true,
  1,
  1n,
  'text',
  Symbol('s'),
  [],
  {},
  ignore,
  new Proxy({}, {}),
  new Date(),
  Number.NaN,
]

test('a request of the wrong shape is a TypeError', () => {
  for (const name of ['openConnection', 'pullImage', 'planImage', 'inspectChain', 'createImage', 'digestImage']) {
    for (const request of nonsense) {
      expect(() => binding[name]?.(request, ignore), `${name}(${String(request)})`).toThrow(TypeError)
    }
    expect(() => binding[name]?.(), name).toThrow('request must be an object')
  }
})

test('a property of the wrong type is named', () => {
  const refused = (property: string, value: unknown, expected: string) =>
    expect(() => binding['pullImage']?.({ ...pull, [property]: value }, ignore)).toThrow(
      `request.${property} must be ${expected}`,
    )
  refused('path', 5, 'a string')
  refused('path', 'a\0b', 'a string without NUL')
  refused('format', 5, 'a string')
  refused('backingPaths', 'x', 'an array or null')
  refused('backingPaths', ['x', 5], 'a string')
  refused('base', Buffer.from('a\0'), 'a name without NUL')
  refused('format', Buffer.from('raw'), 'a string')
  refused('backingFormats', {}, 'an array or null')
  const stated = (item: unknown) => binding['pullImage']?.({ ...pull, backingFormats: [item] }, ignore)
  expect(() => stated({ path: 'b', format: 5 })).toThrow('request.format must be a string')
  expect(() => stated(5)).toThrow('request must be an object')
  refused('bandwidth', 5, 'a BigInt from 0 to 2n ** 64n - 1n')
  refused('bandwidth', -1n, 'a BigInt')
  refused('bandwidth', 2n ** 64n, 'a BigInt')
})

test('a value that is not a walk is a TypeError', () => {
  const walk = (binding as unknown as NativeBinding).newWalk()
  const plan = { ...pull, readData: false }
  for (const none of [...nonsense, Object.create(walk)]) {
    expect(() => binding['planImage']?.(plan, none)).toThrow(TypeError)
    expect(() => binding['inspectChain']?.(image, none)).toThrow(TypeError)
    expect(() => binding['digestImage']?.(image, none)).toThrow(TypeError)
    expect(() => walk.giveUp.call(none as never)).toThrow(TypeError)
  }
  expect(() => binding['planImage']?.(plan, {})).toThrow('walk must be a result of newWalk()')
  expect(() => binding['planImage']?.({ ...plan, readData: 1 }, walk)).toThrow('request.readData must be ')
})

test('an exception of a getter passes through', () => {
  const request = {
    get path() {
      throw new RangeError('mine')
    },
  }
  expect(() => binding['inspectChain']?.(request)).toThrow('mine')
})

test('a value that is not a callback is a TypeError', () => {
  for (const callback of nonsense.filter((value) => typeof value !== 'function')) {
    expect(() => binding['pullImage']?.(pull, callback)).toThrow('callback must be a function')
  }
})

test('a method on an object of another class is a TypeError', async () => {
  const typed = binding as unknown as NativeBinding
  const timeouts = { connectTimeout: null, queryTimeout: null, changeTimeout: null }
  const request = { uri: null, domains: [], readOnly: false, backingPaths: null, ...timeouts }
  const connection = await typed.openConnection(request, ignore)
  for (const self of [...nonsense, typed, Object.create(connection)]) {
    expect(() => connection.listDomains.call(self as never, { flags: 0 })).toThrow(TypeError)
    expect(() => connection.close.call(self as never)).toThrow(TypeError)
  }
  await connection.close()
})
