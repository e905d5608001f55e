// SPDX-License-Identifier: Apache-2.0
//
// Options of pulls, images and connections: what is refused, what defaults are filled in, what crosses to the addon.

import { describe, expect, it } from 'vitest'
import { readConnect } from '../../../lib/options/connect-options.js'
import type { PathLike } from '../../../lib/options/option-types.js'
import {
  readCreate,
  readDiskPlan,
  readDiskPull,
  readImage,
  readImagePlan,
  readImagePull,
  readNewLimit,
} from '../../../lib/options/options.js'
import { BlockPullError } from '../../../lib/results/errors.js'

/** For options that the types would not let through. */
// biome-ignore lint/suspicious/noExplicitAny: the point is to be wrong
const wrong = (options: unknown) => options as any

describe('options of a pull', () => {
  it.each([
    [{ base: 1 }, 'base is 1; expected a path as string, Buffer or file: URL'],
    [
      { bandwidth: 50 },
      "bandwidth is 50; expected a string with a unit such as '50MiB/s', or bytesPerSecond for a number",
    ],
    [{ bytesPerSecond: '50M' }, "bytesPerSecond is '50M'; expected a whole number of bytes a second"],
    [{ bytesPerSecond: 1, bandwidth: '1M' }, 'bandwidth and bytesPerSecond are both given'],
    [{ signal: {} }, 'signal is {}; expected an AbortSignal'],
    [{ bigint: 1 }, 'bigint is 1; expected true or false'],
    [{ siblings: '/srv' }, "siblings is '/srv'; expected an array of folders"],
    [{ onError: 'ignore' }, "onError is 'ignore'; expected 'report', 'stop' or 'enospc'"],
    [{ trailingData: 'drop' }, "trailingData is 'drop'; expected 'keep' or 'discard'"],
    [{ relative: true }, "option 'relative' is unknown to blockPull"],
    [{ backingPath: [] }, "option 'backingPath' is unknown to blockPull"],
  ])('refuses %o', (options, message) => {
    expect(() => readDiskPull('blockPull', wrong(options), false)).toThrow(TypeError)
    expect(() => readDiskPull('blockPull', wrong(options), false)).toThrow(message)
  })

  it.each([[-1], [1.5], [2n ** 63n], [Number.NaN]])('refuses %s bytes a second', (bytesPerSecond) => {
    expect(() => readDiskPull('blockPull', { bytesPerSecond }, false)).toThrow(RangeError)
  })

  it.each([['stop'], ['enospc']] as const)('refuses onError %s for an image file as not supported', (onError) => {
    const read = () => readImagePull('a.qcow2', { onError })
    expect(read).toThrow(BlockPullError)
    expect(read).toThrow(/not supported/)
    expect(read).toThrow(expect.objectContaining({ code: 'UNSUPPORTED', virCode: 74 }))
  })

  it.each([['report'], ['stop'], ['enospc']] as const)('pass onError %s on for a disk', (onError) => {
    expect(readDiskPull('blockPull', { onError }, false)).toMatchObject({ onError })
  })

  it('have no onError where nothing is started, and no readData where a pull reads anyway', () => {
    const unknown = (option: string, call: string) => `option '${option}' is unknown to ${call}`
    const onError = { onError: 'report' } as object
    expect(() => readImagePlan('a.qcow2', onError)).toThrow(unknown('onError', 'plan'))
    expect(() => readDiskPlan(onError)).toThrow(unknown('onError', 'plan'))
    const readData = { readData: true } as object
    expect(() => readImagePull('a.qcow2', readData)).toThrow(unknown('readData', 'pullImage'))
    expect(() => readDiskPull('blockPull', readData, false)).toThrow(unknown('readData', 'blockPull'))
  })

  it('may be left out, or be undefined one by one', () => {
    const nothing = { base: null, bandwidth: 0n, relative: false, detached: false, signal: null, bigint: false }
    const formats = { backingFormat: null, backingFormats: null }
    const empty = { ...nothing, onError: 'report', siblings: null, trailingData: 'refuse', formats }
    expect(readDiskPull('blockPull', undefined, false)).toEqual(empty)
    expect(readDiskPull('blockPull', { base: undefined, bandwidth: undefined, signal: undefined }, false)).toEqual(
      empty,
    )
  })

  it('become one complete request', () => {
    const { signal } = new AbortController()
    const paths = { backingPaths: ['/srv'], siblings: ['/srv/a', '/srv/b'] }
    const options = {
      base: 'b.qcow2',
      bandwidth: '1M',
      format: 'qcow2',
      ...paths,
      signal,
      bigint: true,
      trailingData: 'keep',
    } as const
    expect(readImagePull(new URL('file:///srv/a%20b.qcow2'), options)).toEqual({
      request: {
        path: '/srv/a b.qcow2',
        format: 'qcow2',
        backingFormat: null,
        backingFormats: null,
        backingPaths: ['/srv'],
        base: 'b.qcow2',
        bandwidth: 1048576n,
        siblings: ['/srv/a', '/srv/b'],
        trailingData: 'keep',
      },
      signal,
      bigint: true,
    })
  })
})

describe('a path', () => {
  it.each([[undefined], [null], [1], [''], [{}], [Buffer.alloc(0)], [Buffer.from('a\0')]])('refuses %o', (path) => {
    expect(() => readImage('inspectChain', path, undefined)).toThrow(
      /^path is .*a path as string, Buffer or file: URL/s,
    )
  })

  it('may be bytes that are no UTF-8, also in a URL', () => {
    const path = Buffer.from([0x2f, 0xff])
    expect(readImage('inspectChain', path, undefined).request.path).toEqual(path)
    expect(readImage('inspectChain', new URL('file:///%ff'), undefined).request.path).toEqual(path)
    const options = { base: path, siblings: [path], backingPaths: [path] }
    expect(readImagePull('a', options).request).toMatchObject(options)
  })

  it('refuses a URL that names no file', () => {
    expect(() => readImage('inspectChain', new URL('nbd://host/a'), undefined)).toThrow(TypeError)
  })
})

describe('formats by file', () => {
  it('are an object, or a Map for names that are no strings', () => {
    const path = Buffer.from([0x2f, 0xff])
    const given = [{ '/b': 'raw' }, new Map<PathLike, string>([[path, 'raw']])] as const
    const read = given.map(
      (backingFormats) => readImage('inspectChain', 'a', { backingFormats }).request.backingFormats,
    )
    expect(read).toEqual([[{ path: '/b', format: 'raw' }], [{ path, format: 'raw' }]])
  })

  it.each([['raw'], [['raw']], [{ '/b': 1 }], [{ '': 'raw' }], [{ '/b': '' }]])('refuse %o', (backingFormats) => {
    expect(() => readImage('inspectChain', 'a', wrong({ backingFormats }))).toThrow(TypeError)
  })
})

describe('backingPaths', () => {
  it.each([['/srv'], [[1]], [['']], [{}]])('refuses %o', (backingPaths) => {
    expect(() => readImage('inspectChain', 'a', wrong({ backingPaths }))).toThrow(/^backingPaths/)
  })
})

describe('a new limit', () => {
  it.each([[undefined], [null], [50], [{}], [{ bandwidth: undefined }], ['50'], [{ speed: 1 }]])(
    'refuses %o',
    (limit) => {
      expect(() => readNewLimit('setBandwidth', limit)).toThrow(TypeError)
    },
  )

  it('is a string, or an object that says the unit', () => {
    expect(readNewLimit('setBandwidth', '50MiB/s')).toBe(50n << 20n)
    expect(readNewLimit('setBandwidth', { bandwidth: '50MiB/s' })).toBe(50n << 20n)
    expect(readNewLimit('setBandwidth', { bytesPerSecond: 7 })).toBe(7n)
    expect(readNewLimit('setBandwidth', '0')).toBe(0n)
  })
})

describe('a new image', () => {
  it.each([
    [{}, "size is undefined; expected a size such as '10GiB'"],
    [{ size: null }, 'size is null'],
    [{ size: '10Gb' }, "size is '10Gb'"],
    [{ backingFile: 'b' }, 'backingFormat is null; expected both'],
    [{ size: 1, backingFormat: 'raw' }, 'backingFile is null; expected both'],
    [{ size: 1, version: '3' }, "version is '3'; expected 2 or 3"],
    [{ size: 1, cluster_size: 65536 }, "did you mean 'clusterSize'?"],
  ])('refuses %o', (options, message) => {
    expect(() => readCreate('a.qcow2', wrong(options))).toThrow(TypeError)
    expect(() => readCreate('a.qcow2', wrong(options))).toThrow(message)
  })

  it.each([
    [{ clusterSize: 1000 }],
    [{ clusterSize: 256 }],
    [{ clusterSize: '4M' }],
    [{ version: 1 }],
    [{ version: 4 }],
  ])('refuses %o as out of range', (options) => {
    expect(() => readCreate('a.qcow2', wrong({ size: 1, ...options }))).toThrow(RangeError)
  })

  it('has clusters of 64 KiB and version 3 unless told otherwise', () => {
    expect(readCreate('a.qcow2', { size: '10GiB' })).toEqual({
      path: 'a.qcow2',
      size: 10n << 30n,
      backingFile: null,
      backingFormat: null,
      clusterSize: 65536n,
      version: 3,
    })
  })

  it('takes its size from the backing file', () => {
    const request = readCreate('a.qcow2', { backingFile: 'b', backingFormat: 'raw', clusterSize: '2M', version: 2 })
    expect(request).toMatchObject({ size: null, backingFile: 'b', clusterSize: 2097152n, version: 2 })
  })
})

describe('what connect takes', () => {
  const disk = { target: 'vda', source: '/srv/a.qcow2', format: 'qcow2' }

  it.each([
    [undefined, "URI is undefined; expected a string such as 'qemu:///embed?root=/srv/vms', or { domains: [...] }"],
    [{}, 'domains is undefined; expected an array'],
    [{ domains: [1] }, 'domains[0] is 1; expected an object { name, disks }'],
    [{ domains: [undefined] }, 'domains[0] is undefined'],
    [{ domains: [{ disks: [] }] }, 'domains[0].name is undefined'],
    [{ domains: [{ name: 'vm0' }] }, 'domains[0].disks is undefined'],
    [{ domains: [{ name: 'vm0', disks: [{ ...disk, format: 1 }] }] }, 'domains[0].disks[0].format is 1'],
    [{ domains: [], root: '/srv' }, "option 'root' is unknown to connect"],
  ])('refuses %o', (target, message) => {
    expect(() => readConnect(wrong(target), undefined)).toThrow(TypeError)
    expect(() => readConnect(wrong(target), undefined)).toThrow(message)
  })

  it('refuses options beside a description, which has them itself', () => {
    expect(() => readConnect({ domains: [] }, { readOnly: true })).toThrow(/^options of connect/)
  })

  it('is a URI with options', () => {
    const options = { readOnly: true, monitorTimeouts: { query: 2000 } }
    expect(readConnect('qemu:///embed?root=/srv', options)).toEqual({
      uri: 'qemu:///embed?root=/srv',
      domains: null,
      readOnly: true,
      backingPaths: null,
      connectTimeout: null,
      queryTimeout: 2000n,
      changeTimeout: null,
    })
    expect(() => readConnect({ domains: [], monitorTimeouts: { connect: 0.5 } }, undefined)).toThrow(
      /monitorTimeouts.connect/,
    )
  })

  it('is a description of domains', () => {
    expect(readConnect({ domains: [{ name: 'vm0', disks: [disk] }], backingPaths: ['/srv'] }, undefined)).toEqual({
      uri: null,
      domains: [{ name: 'vm0', uuid: null, qmp: null, disks: [{ ...disk, backingFormats: [] }] }],
      readOnly: false,
      backingPaths: ['/srv'],
      connectTimeout: null,
      queryTimeout: null,
      changeTimeout: null,
    })
  })
})
