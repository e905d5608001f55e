// SPDX-License-Identifier: Apache-2.0
//
// Errors: made from native records, told apart by code, recognised across copies, with a stack that names the caller.

import { constants } from 'node:os'
import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import {
  AbortError,
  BlockPullError,
  called,
  errorCodes,
  errorFromNative,
  isNativeFailure,
} from '../../../lib/results/errors.js'
import { failure } from '../fake-binding.js'

describe('a native failure', () => {
  it.each([
    [null],
    [undefined],
    ['LOCKED'],
    [new Error('x')],
    [{ code: 'LOCKED' }],
    [{ code: 1, message: 'x', virCode: 1 }],
  ])('is not %o', (value) => {
    expect(isNativeFailure(value)).toBe(false)
  })

  it.each(errorCodes.map((code) => [code]))('of code %s becomes a BlockPullError with all it knows', (code) => {
    const error = errorFromNative(
      failure(code, {
        errno: 28,
        syscall: 'pwrite',
        qemu: { command: 'block-stream', class: 'GenericError', message: 'no' },
        path: '/srv/a.qcow2',
        offset: 65536n,
        holder: 'pid 4711 (qemu-system-x86)',
        bytesNeeded: 4096n,
        hint: 'make room',
        cause: failure('IO'),
      }),
    )
    expect(error).toBeInstanceOf(BlockPullError)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      name: 'BlockPullError',
      code,
      virCode: 9,
      virDomain: 10,
      virLevel: 2,
      errno: 28,
      syscall: 'pwrite',
      qemu: { command: 'block-stream', class: 'GenericError', message: 'no' },
    })
    expect(error).toMatchObject({ path: '/srv/a.qcow2', offset: 65536, bytesNeeded: 4096, hint: 'make room' })
    expect(error.holder).toBe('pid 4711 (qemu-system-x86)')
    expect(error.cause).toMatchObject({ code: 'IO', name: 'BlockPullError' })
    expect(error.message).toBe(`${code} happened in 'a.qcow2'`)
  })

  it('leaves null what is not known, and has no cause then', () => {
    const error = errorFromNative(failure('NO_JOB'))
    expect(error).toMatchObject({
      errno: null,
      syscall: null,
      qemu: null,
      path: null,
      offset: null,
      holder: null,
      bytesNeeded: null,
      hint: null,
    })
    expect('cause' in error).toBe(false)
  })
})

describe('retryable', () => {
  it('is true for what may pass by waiting, and for nothing else', () => {
    const retryable = errorCodes.filter((code) => errorFromNative(failure(code)).retryable)
    expect(retryable).toEqual([
      'JOB_VANISHED',
      'JOB_ACTIVE',
      'LOCKED',
      'NO_SPACE',
      'MONITOR_BUSY',
      'MONITOR_LOST',
      'MONITOR_TIMEOUT',
      'GUEST_BUSY',
    ])
  })

  it('is true if no file descriptor was left, whatever the code', () => {
    const { EMFILE, EIO } = constants.errno
    expect(errorFromNative({ ...failure('IO'), errno: EMFILE }).retryable).toBe(true)
    expect(errorFromNative({ ...failure('IO'), errno: EIO }).retryable).toBe(false)
  })
})

describe('BlockPullError.is', () => {
  it('refuses everything else', () => {
    for (const value of [null, undefined, 'LOCKED', {}, new Error('x'), { code: 'LOCKED' }, new AbortError('x')]) {
      expect(BlockPullError.is(value)).toBe(false)
    }
  })

  it('knows the errors of a second copy of the package', async () => {
    vi.resetModules()
    const copy = await import('../../../lib/results/errors.js')
    const error = copy.errorFromNative(failure('LOCKED'))
    expect(copy.BlockPullError).not.toBe(BlockPullError)
    expect(error).not.toBeInstanceOf(BlockPullError)
    expect(BlockPullError.is(error)).toBe(true)
  })
})

describe('the stack', () => {
  it('names the function that made the call, not only our own', async () => {
    async function whoeverCalls() {
      return await called(() => Promise.reject(failure('LOCKED')))
    }
    const error = await whoeverCalls().catch((reason: Error) => reason)
    expect((error as Error).stack).toMatch(/^BlockPullError: LOCKED happened in 'a\.qcow2'\n/)
    expect((error as Error).stack).toContain('whoeverCalls')
  })

  it('shows the code when printed, and no clutter', () => {
    const text = inspect(errorFromNative(failure('LOCKED')))
    expect(text).toContain("code: 'LOCKED'")
    expect(text).not.toContain('Symbol(')
    expect(text).not.toContain('name:')
  })
})

describe('what is no native failure', () => {
  it('is thrown on as it is', async () => {
    const original = new TypeError('x')
    await expect(called(() => Promise.reject(original))).rejects.toBe(original)
    await expect(
      called(() => {
        throw original
      }),
    ).rejects.toBe(original)
  })
})

describe('AbortError', () => {
  it('looks like Node’s, with the reason as its cause', () => {
    const reason = new Error('shutting down')
    expect(new AbortError(reason)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
  })
})
