// SPDX-License-Identifier: Apache-2.0
//
// What the types let through and what they stop: compiled, never run.

import { assertType, expectTypeOf, test } from 'vitest'
import {
  type AbortError,
  type BlockJob,
  type BlockJobEvent,
  type BlockJobInfo,
  BlockJobStatus,
  BlockPullError,
  type Completion,
  type Connection,
  connect,
  createImage,
  type Digest,
  type Domain,
  digestImage,
  type ErrorCode,
  inspectChain,
  type Layer,
  type Plan,
  type Progress,
  plan,
  pullImage,
  type WalkProgress,
} from '../../lib/index.js'
import * as virt from '../../lib/libvirt.js'

declare const connection: Connection
declare const domain: Domain
declare const job: BlockJob
declare const dom: virt.VirDomain

test('sizes are numbers, and bigints where asked for', () => {
  expectTypeOf(pullImage('a')).resolves.toEqualTypeOf<BlockJob>()
  expectTypeOf(pullImage('a', { bigint: true })).resolves.toEqualTypeOf<BlockJob<bigint>>()
  expectTypeOf(plan('a')).resolves.toEqualTypeOf<Plan>()
  expectTypeOf(inspectChain('a', { bigint: true })).resolves.toEqualTypeOf<Layer<bigint>[]>()
  expectTypeOf(domain.blockPull('vda')).resolves.toEqualTypeOf<BlockJob>()
  expectTypeOf(domain.blockRebase('vda', { bigint: true })).resolves.toEqualTypeOf<BlockJob<bigint>>()
  expectTypeOf(domain.blockJobInfo('vda')).resolves.toEqualTypeOf<BlockJobInfo | null>()
  expectTypeOf(domain.blockJobInfo('vda', { bigint: true })).resolves.toEqualTypeOf<BlockJobInfo<bigint> | null>()
})

test('walking calls take a signal, and report progress in the requested kind of size', () => {
  const { signal } = new AbortController()
  void plan('a', {
    signal,
    readData: true,
    onProgress: (progress) => expectTypeOf(progress).toEqualTypeOf<WalkProgress>(),
  })
  void domain.plan('vda', {
    readData: undefined,
    bigint: true,
    onProgress: (progress) => expectTypeOf(progress).toEqualTypeOf<WalkProgress<bigint>>(),
  })
  void inspectChain('a', { signal, onProgress: ({ phase }) => expectTypeOf(phase).toEqualTypeOf<'tables' | 'data'>() })
  expectTypeOf(digestImage('a', { signal, onProgress: undefined, bigint: true })).resolves.toEqualTypeOf<
    Digest<bigint>
  >()
})

test('a job is iterable and not thenable', () => {
  expectTypeOf(job[Symbol.asyncIterator]().next()).resolves.toEqualTypeOf<IteratorResult<Progress, void>>()
  expectTypeOf(job.done).resolves.toEqualTypeOf<Completion>()
  expectTypeOf(job).not.toHaveProperty('then')
  expectTypeOf(job).toExtend<AsyncDisposable>()
  expectTypeOf(connection).toExtend<AsyncDisposable>()
})

test('the outcome distinguishes completion and interruption', () => {
  if (job.outcome?.state === 'completed') expectTypeOf(job.outcome.error).toEqualTypeOf<null>()
  if (job.outcome?.state === 'failed') expectTypeOf(job.outcome.error).toEqualTypeOf<BlockPullError | AbortError>()
})

test('events are typed', () => {
  connection.on('blockJob', (event) => {
    expectTypeOf(event).toEqualTypeOf<BlockJobEvent>()
    assertType<boolean>(event.status === BlockJobStatus.FAILED)
  })
  connection.on('jobFailed', ({ error, disk }) => {
    expectTypeOf(error).toEqualTypeOf<BlockPullError>()
    expectTypeOf(disk).toEqualTypeOf<string>()
  })
})

test('an error narrows to its codes', () => {
  const error: unknown = null
  if (BlockPullError.is(error)) expectTypeOf(error.code).toEqualTypeOf<ErrorCode>()
  assertType<ErrorCode>('LOCKED')
  // @ts-expect-error: no such code
  assertType<ErrorCode>('ERR_LOCKED')
})

test('options may be undefined, and wrong ones do not compile', () => {
  assertType(pullImage('a', { signal: undefined, base: undefined, bandwidth: undefined }))
  assertType(pullImage('a', { siblings: ['/srv/images'] }))
  // @ts-expect-error: a number has no unit
  assertType(pullImage('a', { bandwidth: 50 }))
  // @ts-expect-error: misspelt
  assertType(pullImage('a', { bandwith: '50M' }))
  // @ts-expect-error: flags are for blockpull/libvirt
  assertType(domain.blockPull('vda', 50, 0))
  // @ts-expect-error: a pull reads anyway
  assertType(pullImage('a', { readData: true }))
  // @ts-expect-error: the progress of a job is its own
  assertType(domain.blockPull('vda', { onProgress: () => undefined }))
  // @ts-expect-error: version 4 does not exist
  assertType(createImage('a', { size: 1, version: 4 }))
  // @ts-expect-error: a disk needs its format
  assertType(connect({ domains: [{ name: 'vm0', disks: [{ target: 'vda', source: 'a' }] }] }))
})

test('the libvirt layer has C’s arguments', () => {
  assertType<Promise<number>>(virt.virDomainBlockPull(dom, 'vda', 50, virt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES))
  assertType<Promise<number>>(virt.virDomainBlockRebase(dom, 'vda', null, 2n ** 40n))
  assertType<64>(virt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES)
  // @ts-expect-error: units in strings are for the idiomatic layer
  assertType(virt.virDomainBlockPull(dom, 'vda', '50M'))
  const info = virt.virDomainGetBlockJobInfo(dom, 'vda', 0)
  expectTypeOf(info).resolves.toEqualTypeOf<virt.VirDomainBlockJobInfo | null>()
})
