// SPDX-License-Identifier: Apache-2.0
//
// Connections and domains over a fake binding: wrong arguments first, then the requests made, then events and closing.

import { describe, expect, it, vi } from 'vitest'
import { openConnection } from '../../lib/connection.js'
import type { Domain } from '../../lib/domain.js'
import { BlockJobStatus, BlockJobType } from '../../lib/words/enumerations.js'
import { FakeBinding, failure, mebibyte, outcomeOf, planOf, turn, vm0 } from './fake-binding.js'

const uri = 'qemu:///embed?root=/srv'

async function opened() {
  const binding = new FakeBinding()
  const connection = await openConnection(() => binding, uri)
  const domain = await connection.lookupByName('vm0')
  return { binding, connection, domain }
}

describe('opening', () => {
  it('asks nothing of the addon when the arguments are wrong', async () => {
    const binding = vi.fn()
    await expect(openConnection(binding, 1 as unknown as string)).rejects.toThrow(TypeError)
    expect(binding).not.toHaveBeenCalled()
  })

  it('rejects with the error of a missing addon, at the call and not at import', async () => {
    const missing = () => {
      throw new Error('no addon')
    }
    await expect(openConnection(missing, uri)).rejects.toThrow('no addon')
  })

  it('rejects with a BlockPullError for a folder that is not there', async () => {
    const binding = new FakeBinding()
    binding.failures.set('openConnection', failure('NOT_FOUND', { path: '/srv', errno: 2 }))
    await expect(openConnection(() => binding, uri)).rejects.toMatchObject({ code: 'NOT_FOUND', errno: 2 })
  })
})

describe('looking up domains', () => {
  it.each(['lookupByName', 'lookupByUUID', 'defineXML'] as const)(
    '%s refuses anything but a string',
    async (method) => {
      const { connection, binding } = await opened()
      const before = binding.calls.length
      await expect(connection[method](1 as unknown as string)).rejects.toThrow(TypeError)
      expect(binding.calls).toHaveLength(before)
    },
  )

  it('asks by name, by uuid, for all, and by XML', async () => {
    const { connection, binding } = await opened()
    expect(binding.last).toEqual({ name: 'vm0', uuid: null })
    await connection.lookupByUUID(vm0.uuid)
    expect(binding.last).toEqual({ name: null, uuid: vm0.uuid })
    await expect(connection.listAllDomains()).resolves.toHaveLength(1)
    await connection.defineXML('<domain/>')
    expect(binding.last).toEqual({ xml: '<domain/>' })
  })

  it('lists a broken domain with its error, beside the others', async () => {
    const { connection, binding } = await opened()
    const broken = { ...vm0, name: 'vm1', state: 0, disks: [], error: failure('INVALID_ARGUMENT') }
    binding.domains = [broken, vm0]
    const [bad, good] = await connection.listAllDomains()
    expect(bad).toMatchObject({ name: 'vm1', state: 'no state', disks: [], error: { code: 'INVALID_ARGUMENT' } })
    expect(good).toMatchObject({ name: 'vm0', state: 'shut off', error: null })
  })

  it('gives the formats that its XML states for layers below a disk', async () => {
    const { connection, binding } = await opened()
    const backingFormats = [{ path: '/srv/base.img', format: 'raw' }]
    binding.domains = [{ ...vm0, disks: vm0.disks.map((disk) => ({ ...disk, backingFormats })) }]
    const [domain] = await connection.listAllDomains()
    expect(domain?.disks).toMatchObject([{ backingFormats: { '/srv/base.img': 'raw' } }])
  })

  it('gives domains that say who they are', async () => {
    const { domain } = await opened()
    expect(domain).toMatchObject({ name: 'vm0', uuid: vm0.uuid, state: 'shut off', error: null })
    expect(domain.disks).toEqual([{ target: 'vda', source: '/srv/vm0.qcow2', format: 'qcow2' }])
    await expect(domain.xml()).resolves.toBe('<domain/>')
  })

  it('rejects with NO_DOMAIN', async () => {
    const { connection, binding } = await opened()
    binding.domains = []
    await expect(connection.lookupByName('vm1')).rejects.toMatchObject({ code: 'NO_DOMAIN', virCode: 42 })
  })
})

describe('calls on a disk', () => {
  const calls: [string, (domain: Domain, disk: string) => Promise<unknown>][] = [
    ['blockPull', (domain, disk) => domain.blockPull(disk)],
    ['blockRebase', (domain, disk) => domain.blockRebase(disk)],
    ['plan', (domain, disk) => domain.plan(disk)],
    ['blockJobInfo', (domain, disk) => domain.blockJobInfo(disk)],
    ['blockJobSetSpeed', (domain, disk) => domain.blockJobSetSpeed(disk, '1M')],
    ['blockJobAbort', (domain, disk) => domain.blockJobAbort(disk)],
  ]

  it.each(calls)('%s refuses a disk that is not a string', async (_, call) => {
    const { domain, binding } = await opened()
    const before = binding.calls.length
    await expect(call(domain, 1 as unknown as string)).rejects.toThrow('disk is 1; expected a string')
    expect(binding.calls).toHaveLength(before)
  })

  it.each(calls)('%s rejects with the code of the addon', async (name, call) => {
    const { domain, binding } = await opened()
    binding.failures.set(name === 'blockRebase' ? 'blockPull' : name, failure('NO_DISK'))
    await expect(call(domain, 'vdz')).rejects.toMatchObject({ code: 'NO_DISK', name: 'BlockPullError' })
  })

  it('blockPull counts bandwidth in bytes, and is a rebase when it has a base', async () => {
    const { domain, binding } = await opened()
    await domain.blockPull('vda', { bandwidth: '50MiB/s' })
    expect(binding.last).toEqual({
      uuid: vm0.uuid,
      disk: 'vda',
      call: 'virDomainBlockPull',
      base: null,
      exactBase: true,
      backingFormat: null,
      backingFormats: null,
      detached: false,
      onError: 'report',
      siblings: null,
      trailingData: 'refuse',
      ticket: expect.any(BigInt),
      bandwidth: 50n * mebibyte,
      flags: 64,
    })
    await domain.blockPull('vda', { base: '/srv/base.qcow2' })
    expect(binding.last).toMatchObject({ call: 'virDomainBlockRebase', base: '/srv/base.qcow2', flags: 64 })
  })

  it('blockRebase keeps names relative if asked', async () => {
    const { domain, binding } = await opened()
    await domain.blockRebase('vda', { base: 'vda[1]', relative: true, bytesPerSecond: 5 })
    expect(binding.last).toMatchObject({ call: 'virDomainBlockRebase', base: 'vda[1]', bandwidth: 5n, flags: 64 | 16 })
    await domain.blockRebase('vda')
    expect(binding.last).toMatchObject({ call: 'virDomainBlockRebase', base: null, flags: 64 })
  })

  it('plan gives numbers, refusals as errors, and bigints if asked', async () => {
    const { domain, binding } = await opened()
    binding.nextPlan = planOf({ refusals: [failure('LOCKED')], seconds: 2, base: '/srv/b.qcow2' })
    const plan = await domain.plan('vda', { bandwidth: '50M' })
    expect(plan).toMatchObject({ bytesToMove: 104857600, seconds: 2, base: '/srv/b.qcow2' })
    expect(plan.refusals).toMatchObject([{ code: 'LOCKED', name: 'BlockPullError' }])
    const { bytesFree } = await domain.plan('vda', { bigint: true })
    expect(bytesFree).toBe(1000n * mebibyte)
  })

  it('blockJobInfo is null without a job', async () => {
    const { domain, binding } = await opened()
    await expect(domain.blockJobInfo('vda')).resolves.toBeNull()
    binding.info = {
      type: 1,
      bandwidth: 1048576n,
      cur: 5n,
      end: 2n ** 60n,
      state: 'running',
      stoppedOn: null,
      foreign: false,
    }
    await expect(domain.blockJobInfo('vda')).rejects.toThrow(RangeError)
    const info = await domain.blockJobInfo('vda', { bigint: true })
    expect(info).toEqual({
      type: BlockJobType.PULL,
      bandwidth: 1048576n,
      cur: 5n,
      end: 2n ** 60n,
      state: 'running',
      stoppedOn: null,
      foreign: false,
    })
    expect(binding.last).toMatchObject({ flags: 1 })
  })

  it('blockJobSetSpeed and blockJobAbort pass on their arguments', async () => {
    const { domain, binding } = await opened()
    await domain.blockJobSetSpeed('vda', { bytesPerSecond: 7 })
    expect(binding.last).toEqual({ uuid: vm0.uuid, disk: 'vda', bandwidth: 7n, flags: 1 })
    await domain.blockJobAbort('vda')
    expect(binding.last).toEqual({ uuid: vm0.uuid, disk: 'vda', flags: 0 })
    await domain.blockJobAbort('vda', { async: true })
    expect(binding.last).toMatchObject({ flags: 1 })
  })
})

describe('events', () => {
  const change = {
    domain: { name: 'vm0', uuid: vm0.uuid, id: -1 },
    target: 'vda',
    path: '/srv/vm0.qcow2',
    type: BlockJobType.PULL,
    status: BlockJobStatus.FAILED,
    notices: [],
  }

  it('come once for a change, with the reason of a failure', async () => {
    const { connection, binding } = await opened()
    const heard = vi.fn()
    connection.on('blockJob', heard)
    binding.send({ ...change, error: failure('NO_SPACE') })
    binding.send({ ...change, status: BlockJobStatus.COMPLETED, error: null })
    expect(heard).toHaveBeenCalledTimes(2)
    const { notices: _, ...told } = { ...change, domain: { name: 'vm0', uuid: vm0.uuid } }
    expect(heard.mock.calls[0]?.[0]).toEqual({ ...told, error: expect.objectContaining({ code: 'NO_SPACE' }) })
    expect(heard.mock.calls[1]?.[0]).toEqual({ ...told, status: 0, error: null })
  })

  it('report a failure that nobody awaits', async () => {
    const { connection, domain, binding } = await opened()
    const heard = vi.fn()
    connection.on('jobFailed', heard)
    const job = await domain.blockPull('vda')
    binding.job.end(outcomeOf('failed', failure('IO')))
    await turn()
    await turn()
    expect(heard).toHaveBeenCalledTimes(1)
    const domainOf = { name: 'vm0', uuid: vm0.uuid }
    expect(heard.mock.calls[0]?.[0]).toMatchObject({ domain: domainOf, disk: 'vda', error: { code: 'IO' }, job })
  })

  it('become a process warning if nobody listens either', async () => {
    const { domain, binding } = await opened()
    await domain.blockPull('vda')
    const warned = new Promise<Error>((resolve) => {
      process.once('warning', resolve)
    })
    binding.job.end(outcomeOf('unknown', failure('JOB_VANISHED')))
    await expect(warned).resolves.toMatchObject({ name: 'BlockPullWarning', code: 'JOB_VANISHED' })
  })
})

describe('closing', () => {
  it('is asked of the addon once, however often it is called', async () => {
    const { connection, binding } = await opened()
    await Promise.all([connection.close(), connection.close()])
    await connection[Symbol.asyncDispose]()
    expect(binding.calls.filter(({ name }) => name === 'close')).toHaveLength(1)
  })

  it('leaves later calls to be refused by the addon', async () => {
    const { connection, domain, binding } = await opened()
    await connection.close()
    for (const name of ['lookupDomain', 'blockPull']) binding.failures.set(name, failure('CLOSED'))
    await expect(connection.lookupByName('vm0')).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
