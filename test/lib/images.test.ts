// SPDX-License-Identifier: Apache-2.0
//
// Calls on bare images: their requests, their answers in numbers and bigints, and importing without an addon.

import { describe, expect, it } from 'vitest'
import { imageCalls } from '../../lib/images.js'
import * as blockpull from '../../lib/index.js'
import { FakeBinding, failure, layerOf, mebibyte, plainInfo, planOf, soundReport } from './fake-binding.js'

function fresh() {
  const binding = new FakeBinding()
  return { binding, ...imageCalls(() => binding) }
}

describe('a call with wrong arguments', () => {
  it.each([
    ...['pullImage', 'plan', 'inspectChain', 'digestImage', 'createImage', 'checkImage', 'imageInfo'],
    'compareImages',
  ] as const)('%s rejects, and asks nothing of the addon', async (name) => {
    const { binding, ...calls } = fresh()
    const call = calls[name] as (path: unknown) => Promise<unknown>
    await expect(call(1)).rejects.toThrow(TypeError)
    expect(binding.calls).toEqual([])
  })
})

describe('a call that the addon refuses', () => {
  it.each([
    ['plan', 'planImage'],
    ['inspectChain', 'inspectChain'],
    ['digestImage', 'digestImage'],
    ['checkImage', 'checkImage'],
    ['imageInfo', 'imageInfo'],
    ['createImage', 'createImage'],
  ] as const)('%s rejects with the code', async (name, native) => {
    const { binding, ...calls } = fresh()
    binding.failures.set(native, failure('NOT_FOUND', { errno: 2, path: 'a.qcow2' }))
    const call: (path: string) => Promise<unknown> =
      name === 'createImage' ? (path) => calls.createImage(path, { size: 1 }) : calls[name]
    const refused = call('a.qcow2')
    await expect(refused).rejects.toMatchObject({ code: 'NOT_FOUND', errno: 2, path: 'a.qcow2' })
  })
})

describe('the calls', () => {
  it('pullImage passes a complete request', async () => {
    const { binding, pullImage } = fresh()
    await pullImage('a.qcow2', { bandwidth: '500K', backingFormat: 'raw' })
    expect(binding.last).toEqual({
      path: 'a.qcow2',
      format: null,
      backingFormat: 'raw',
      backingFormats: null,
      backingPaths: null,
      base: null,
      bandwidth: 512000n,
      siblings: null,
      trailingData: 'refuse',
    })
  })

  it('plan does not start anything', async () => {
    const { binding, plan } = fresh()
    binding.nextPlan = planOf({ seconds: 4 })
    await expect(plan('a.qcow2', { bandwidth: '25M' })).resolves.toMatchObject({ bytesToMove: 104857600, seconds: 4 })
    expect(binding.jobs).toEqual([])
  })

  it('inspectChain gives layers in numbers, or in bigints', async () => {
    const { binding, inspectChain } = fresh()
    binding.layers = [layerOf('/srv/a', { backingFile: 'b' }), layerOf('/srv/b', { inUseBy: 'pid 1 (x)' })]
    const layers = await inspectChain('a')
    expect(layers).toMatchObject([
      { path: '/srv/a', virtualSize: 209715200, backingFile: 'b', inUseBy: null },
      { path: '/srv/b', clusterSize: 65536, inUseBy: 'pid 1 (x)' },
    ])
    expect(JSON.parse(JSON.stringify(layers))).toEqual(layers)
    binding.layers = [layerOf('/srv/a', { virtualSize: 2n ** 60n })]
    await expect(inspectChain('a')).rejects.toThrow(/^virtualSize is 1152921504606846976/)
    await expect(inspectChain('a', { bigint: true })).resolves.toMatchObject([{ virtualSize: 2n ** 60n }])
  })

  it('checkImage gives counts and findings in numbers, or in bigints', async () => {
    const { binding, checkImage } = fresh()
    const leak = { severity: 'leak', code: 'leak', message: 'cluster 5', offset: 327680n }
    binding.report = { ...soundReport, leaks: 1n, findings: [leak] }
    const report = await checkImage('a', { format: 'qcow2' })
    expect(report).toMatchObject({ errors: 0, leaks: 1, findings: [{ ...leak, offset: 327680 }], snapshots: 0 })
    expect(binding.last).toEqual({ path: 'a', format: 'qcow2', repair: null })
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    await expect(checkImage('a', { bigint: true })).resolves.toMatchObject({
      leaks: 1n,
      findings: [{ offset: 327680n }],
    })
  })

  it('checkImage passes the scope of a repair, and tells what was mended', async () => {
    const { binding, checkImage } = fresh()
    binding.report = { ...soundReport, repaired: { errors: 2n, leaks: 1n } }
    const report = await checkImage('a', { repair: 'all' })
    expect(report.repaired).toEqual({ errors: 2, leaks: 1 })
    expect(binding.last).toEqual({ path: 'a', format: null, repair: 'all' })
    const wrong = checkImage('a', { repair: 'some' as 'all' })
    await expect(wrong).rejects.toThrow("repair is 'some'; expected 'leaks' or 'all'")
  })

  it('imageInfo gives what the header says; a raw image has no qcow2', async () => {
    const { binding, imageInfo } = fresh()
    const info = await imageInfo('a')
    expect(info).toMatchObject({
      virtualSize: 209715200,
      qcow2: { clusterSize: 65536, bitmaps: [{ granularity: 65536 }] },
    })
    expect(info.qcow2?.snapshots).toEqual([
      { id: '1', name: 'clean', takenAt: new Date('2023-11-14T22:13:20Z'), vmStateBytes: 0, diskSize: 209715200 },
    ])
    binding.imageHeader = { ...plainInfo, qcow2: null }
    await expect(imageInfo('a', { bigint: true })).resolves.toMatchObject({ virtualSize: 209715200n, qcow2: null })
    await expect(imageInfo('a', { signal: AbortSignal.abort() } as object)).rejects.toThrow(/unknown to imageInfo/)
  })

  it('compareImages passes how each image is opened', async () => {
    const { binding, compareImages } = fresh()
    await expect(compareImages('a', 'b', { a: { format: 'raw' }, b: { backingFormat: 'raw' } })).resolves.toEqual({
      firstDifference: null,
      sizes: [209715200, 209715200],
    })
    expect(binding.last).toMatchObject([
      { path: 'a', format: 'raw', backingFormat: null },
      { path: 'b', format: null, backingFormat: 'raw' },
    ])
    binding.comparison = { firstDifference: 512n, aSize: 1024n, bSize: 2048n }
    await expect(compareImages('a', 'b', { bigint: true })).resolves.toEqual({
      firstDifference: 512n,
      sizes: [1024n, 2048n],
    })
  })

  it('digestImage gives a hash and what it is of', async () => {
    const { digestImage } = fresh()
    await expect(digestImage('a')).resolves.toEqual({ sha256: 'ab'.repeat(32), bytes: 209715200 })
    await expect(digestImage('a', { bigint: true })).resolves.toMatchObject({ bytes: 200n * mebibyte })
  })

  it('createImage resolves to nothing', async () => {
    const { binding, createImage } = fresh()
    await expect(createImage('a', { size: '1G' })).resolves.toBeUndefined()
    expect(binding.last).toMatchObject({ size: 1n << 30n, clusterSize: 65536n, version: 3 })
  })
})

describe('the package', () => {
  it('exports the API and nothing by accident', () => {
    expect(Object.keys(blockpull).sort()).toEqual([
      'AbortError',
      'BlockJobStatus',
      'BlockJobType',
      'BlockPullError',
      'Connection',
      'Domain',
      'checkImage',
      'compareImages',
      'connect',
      'createImage',
      'digestImage',
      'domainStates',
      'errorCodes',
      'imageInfo',
      'inspectChain',
      'plan',
      'pullImage',
      'shimPath',
    ])
  })
})
