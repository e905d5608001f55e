// SPDX-License-Identifier: Apache-2.0
//
// What QEMU refuses, in libvirt's terms: for each of QEMU's sentences the code of ours, libvirt's code and domain,
// and libvirt's sentence where it has one; QEMU's own words are then the hint, and in the message otherwise. The
// sentences are those of QEMU 7.2 and 10.0; two are of older ones.

import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import * as virt from '../../lib/libvirt.js'
import { faults, versions } from '../qmp-peer/index.mjs'
import { TempFolder } from '../support/temp-folder.js'
import {
  deeds,
  diskBytes,
  endOf,
  failureOf,
  HeldReply,
  images,
  jobIn,
  safeOrder,
  start,
  startAtFlush,
  startPeer,
} from './live-domain.js'

const temp = new TempFolder('refusals')
afterAll(() => temp.remove())

const told = "internal error: unable to execute QEMU command 'block-stream': "
const noDisk = "invalid argument: disk 'vda' not found in domain"
const busy = "Operation not supported: disk 'vda' already in active block job"
const noBase = `invalid argument: could not find image '${images[2]}' beneath '${images[0]}' in chain for 'vda'`

/** QEMU's words, its class; then our code, libvirt's code and domain, and the message, or how it begins with ': '. */
const refusals: readonly [string, string, string, number, number, string][] = [
  ["Cannot find device='node0' nor node-name='node0'", 'GenericError', 'NO_DISK', 8, 10, noDisk],
  ["Device 'node0' not found", 'DeviceNotFound', 'NO_DISK', 8, 10, noDisk],
  ["Invalid job ID '1abc'", 'GenericError', 'QEMU_ERROR', 1, 10, told],
  ["Job ID 'd0' already in use", 'GenericError', 'JOB_ACTIVE', 84, 10, busy],
  ["Node 'd0' is busy: block device is in use by block job: stream", 'GenericError', 'JOB_ACTIVE', 84, 10, busy],
  ["Can't find 'x' in the backing chain", 'GenericError', 'NO_BASE', 8, 18, noBase],
  ["Cannot find device='' nor node-name='node2'", 'GenericError', 'NO_BASE', 8, 18, noBase],
  ["Node 'node2' is not a backing image of 'node0'", 'GenericError', 'NO_BASE', 8, 18, noBase],
  ["'base' and 'base-node' cannot be specified at the same time", 'GenericError', 'QEMU_ERROR', 1, 10, told],
  ['backing file specified, but streaming the entire chain', 'GenericError', 'QEMU_ERROR', 1, 10, told],
  ["Parameter 'speed' expects a non-negative value", 'GenericError', 'QEMU_ERROR', 1, 10, told],
  ['Block node is read-only', 'GenericError', 'READ_ONLY', 1, 10, told],
  ["Could not create node: Duplicate nodes with node-name='top'", 'GenericError', 'QEMU_ERROR', 1, 10, told],
  [
    "Permission conflict on node 'fmt_base': permissions 'write' are both required",
    'GenericError',
    'QEMU_ERROR',
    1,
    10,
    told,
  ],
  [
    'The command block-stream has not been found',
    'CommandNotFound',
    'UNSUPPORTED',
    84,
    10,
    'Operation not supported: ',
  ],
  ["Parameter 'auto-finalize' is unexpected", 'GenericError', 'UNSUPPORTED', 84, 10, 'Operation not supported: '],
  ['a sentence that no QEMU has said yet', 'GenericError', 'QEMU_ERROR', 1, 10, told],
]

describe('block-stream is refused with', () => {
  test.each(refusals)('“%s” (%s): %s, %i of %i', async (desc, name, code, virCode, virDomain, begins) => {
    const { domain, events, peer } = await start(temp, [faults.refuse('block-stream', { class: name, desc })])
    const error = await failureOf(domain.blockPull('vda', { base: images[2] }))
    expect(error).toMatchObject({ code, virCode, virDomain, retryable: code === 'JOB_ACTIVE' })
    const words = `unable to execute QEMU command 'block-stream': ${desc}`
    const isWhole = !begins.endsWith(': ')
    expect(isWhole ? error.message : error.message.slice(0, begins.length)).toBe(begins)
    if (isWhole) expect(error.hint).toBe(words)
    else
      expect({ hint: error.hint, words: error.message }).toEqual({ hint: null, words: expect.stringContaining(words) })
    expect(events).toEqual([])
    // Images that a migration has just taken away are read-only, too, so it is looked once more.
    const tries = code === 'READ_ONLY' ? 2 : 1
    expect(deeds(peer)).toEqual(Array(tries).fill('block-stream'))
  })
})

describe('before QEMU is asked', () => {
  test('a disk that QEMU does not have is refused in libvirt’s words', async () => {
    const { domain, peer } = await start(temp)
    const { blockPull, blockJobInfo, blockJobAbort } = domain
    for (const call of [blockPull, blockJobInfo, blockJobAbort] as readonly ((disk: string) => Promise<unknown>)[]) {
      const error = await failureOf(call.call(domain, 'vdz'))
      expect(error).toMatchObject({ code: 'NO_DISK', virCode: 8, virDomain: 10 })
      expect(error.message).toBe("invalid argument: disk 'vdz' not found in domain")
      expect(error.hint).toBe("QEMU has no device and no node 'vdz'; it has 'vda'")
    }
    expect(deeds(peer)).toEqual([])
  })

  test('a fault of the disk is reported before a limit that is too large, as in libvirt', async () => {
    const folder = temp.folder()
    const peer = await startPeer(temp, [], { path: `${folder}/vm0.qmp` })
    const disk = (target: string, path: string) =>
      `<disk type='file'><driver type='qcow2'/><source file='${path}'/><target dev='${target}'/></disk>`
    const disks = disk('vda', images[0]) + disk('vdb', '/vms/elsewhere.qcow2')
    writeFileSync(`${folder}/vm0.xml`, `<domain><name>vm0</name><devices>${disks}</devices></domain>`)
    const connection = await virt.virConnectOpen(`qemu:///embed?root=${folder}`)
    onTestFinished(async () => void (await virt.virConnectClose(connection)))
    const domain = await virt.virDomainLookupByName(connection, 'vm0')
    const refused = async (name: string, base: string | null, bandwidth: bigint, flags = 0) => {
      const error = await failureOf(virt.virDomainBlockRebase(domain, name, base, bandwidth, flags))
      return [error.virCode, error.virDomain, error.message]
    }
    const tooMuch = 2n ** 43n
    const none = (name: string) => [8, 10, `invalid argument: disk '${name}' not found in domain`]
    const overflow = [82, 10, 'numerical overflow: bandwidth must be less than 8796093022207']
    const bytes = virt.VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES
    expect(await refused('vdz', null, tooMuch)).toEqual(none('vdz'))
    expect(await refused('vdz', 'vda[1]', tooMuch)).toEqual(none('vdz'))
    expect(await refused('/vms/none.qcow2', null, tooMuch)).toEqual(none('/vms/none.qcow2'))
    expect(await refused('vdb', null, tooMuch)).toEqual(none('vdb'))
    expect(await refused('vda', 'vdz[1]', tooMuch)).toEqual([
      8,
      18,
      expect.stringContaining("target 'vdz' does not match"),
    ])
    expect(await refused('vda', 'x', tooMuch)).toEqual([8, 18, expect.stringContaining("could not find image 'x'")])
    expect(await refused('vda', null, tooMuch)).toEqual(overflow)
    expect(await refused('vda', null, 2n ** 63n, bytes)).toEqual([
      1,
      0,
      expect.stringContaining('must not be negative'),
    ])
    expect(deeds(peer)).toEqual([])
    await virt.virDomainBlockPull(domain, 'vda', 1, 0)
    expect(await refused('vda', null, tooMuch)).toEqual([84, 10, busy])
    await virt.virDomainBlockJobAbort(domain, 'vda', 0)
  })

  test('a base that is not in the chain is refused in libvirt’s words', async () => {
    const { domain, peer } = await start(temp)
    const error = await failureOf(domain.blockPull('vda', { base: '/vms/other.qcow2' }))
    expect(error).toMatchObject({ code: 'NO_BASE', virCode: 8, virDomain: 18 })
    expect(error.message).toBe(
      `invalid argument: could not find image '/vms/other.qcow2' beneath '${images[0]}' in chain for 'vda'`,
    )
    expect(deeds(peer)).toEqual([])
  })

  test('a second pull of a disk is refused in libvirt’s words, and the first continues', async () => {
    const { domain, peer } = await start(temp)
    const job = await domain.blockPull('vda')
    const error = await failureOf(domain.blockPull('vda'))
    expect(error).toMatchObject({ code: 'JOB_ACTIVE', virCode: 84, virDomain: 10, retryable: true })
    expect(error.message).toBe("Operation not supported: disk 'vda' already in active block job")
    peer.complete(jobIn(peer))
    expect(await endOf(job)).toBe('completed')
  })

  test.each([
    ['speed', 'blockJobSetSpeed', /^invalid argument: disk vda does not have an active block job$/],
    ['abort', 'blockJobAbort', /^invalid argument: disk vda does not have an active block job$/],
  ] as const)('%s of a disk without a job is refused in libvirt’s words', async (_what, call, words) => {
    const { domain } = await start(temp)
    const error = await failureOf(
      call === 'blockJobAbort' ? domain.blockJobAbort('vda') : domain.blockJobSetSpeed('vda', '1MiB/s'),
    )
    expect(error).toMatchObject({ code: 'NO_JOB', virCode: 8, virDomain: 10, message: expect.stringMatching(words) })
  })
})

describe('an abort', () => {
  test('that QEMU refuses is repeated after a pause, and ends as QEMU’s job does', async () => {
    const { domain, peer } = await start(temp, [
      faults.refuse('job-cancel', { desc: "Job in state 'x' cannot accept command verb 'cancel'" }, 2),
    ])
    const job = await domain.blockPull('vda')
    await domain.blockJobAbort('vda')
    expect(await endOf(job)).toBe('cancelled CANCELLED')
    expect(deeds(peer)).toEqual(['block-stream', 'job-cancel', 'job-cancel', 'job-cancel'])
  })

  test('that QEMU always refuses ends with the job, which has completed and carries a warning', async () => {
    const desc = 'Command job-cancel has been disabled'
    const { domain, peer } = await start(temp, [faults.refuse('job-cancel', { class: 'CommandNotFound', desc })])
    const job = await domain.blockPull('vda')
    const aborted = domain.blockJobAbort('vda')
    await peer.received('job-cancel')
    expect(job.progress.state).toBe('aborting')
    peer.complete(jobIn(peer))
    await aborted
    const { state, warnings } = await job.done
    expect(state).toBe('completed')
    const refused = expect.stringMatching(/^QEMU refused to cancel the pull of disk 'vda': .*has been disabled$/)
    expect(warnings).toContainEqual(refused)
    expect(deeds(peer).filter((name) => name !== 'job-cancel')).toEqual(safeOrder)
  })

  test('of a job that QEMU no longer has ends, as unknown', async () => {
    const { domain, peer } = await start(temp, [faults.loseEvents()])
    const job = await domain.blockPull('vda')
    peer.vanish(jobIn(peer))
    await domain.blockJobAbort('vda').catch(() => undefined)
    expect(await endOf(job)).toBe('unknown JOB_VANISHED')
  })

  test('of a job that is pending keeps the backing file', async () => {
    const { peer, domain, job, flush } = await startAtFlush(temp)
    await domain.blockJobAbort('vda', { async: true })
    flush.release()
    expect(await endOf(job)).toBe('cancelled CANCELLED')
    expect(deeds(peer)).toEqual(['block-stream', 'flush', 'job-cancel'])
  })

  test('twice is refused in libvirt’s words', async () => {
    // Without events the job's end is seen once the cancel is answered, and not before.
    const cancel = new HeldReply('job-cancel')
    const { domain } = await start(temp, [cancel, faults.loseEvents()])
    await domain.blockPull('vda')
    const first = domain.blockJobAbort('vda')
    await cancel.reached()
    const error = await failureOf(domain.blockJobAbort('vda'))
    cancel.release()
    expect(error).toMatchObject({ code: 'JOB_ACTIVE', virCode: 55, virDomain: 10 })
    expect(error.message).toBe("Requested operation is not valid: block job on disk 'vda' is still being ended")
    await first
  })
})

test('every new limit reaches QEMU, even for a job of another version', async () => {
  for (const version of [versions.qemu42, versions.qemu72, versions.qemu101Strict]) {
    const { domain, peer } = await start(temp, [], { version })
    const job = await domain.blockPull('vda', { bandwidth: '1MiB/s' })
    expect(await peer.received('block-stream')).toMatchObject({ arguments: { speed: 2 ** 20 } })
    await domain.blockJobSetSpeed('vda', '3MiB/s')
    expect(await peer.received('block-job-set-speed')).toMatchObject({ arguments: { speed: 3 * 2 ** 20 } })
    expect(await domain.blockJobInfo('vda')).toMatchObject({ bandwidth: 3 * 2 ** 20 })
    await domain.blockJobSetSpeed('vda', '0')
    expect(await peer.received('block-job-set-speed')).toMatchObject({ arguments: { speed: 0 } })
    peer.advance(jobIn(peer), diskBytes)
    expect(await endOf(job)).toBe('completed')
  }
})

describe('a limit that QEMU refuses', () => {
  test.each([
    [
      "Block job 'd0' not found",
      'DeviceNotActive',
      'NO_JOB',
      55,
      "Requested operation is not valid: No active block job 'vda' (",
    ],
    [
      "Parameter 'speed' expects a non-negative value",
      'GenericError',
      'QEMU_ERROR',
      1,
      'internal error: unable to execute',
    ],
    [
      "Job 'd0' in state 'pending' cannot accept command verb 'set-speed'",
      'GenericError',
      'QEMU_ERROR',
      1,
      'internal error: unable',
    ],
  ])('with “%s” (%s): %s, and the old one stays in force', async (desc, name, code, virCode, begins) => {
    const { domain } = await start(temp, [faults.refuse('block-job-set-speed', { class: name, desc })])
    const job = await domain.blockPull('vda', { bandwidth: '1MiB/s' })
    const error = await failureOf(domain.blockJobSetSpeed('vda', '2MiB/s'))
    expect(error).toMatchObject({ code, virCode, virDomain: 10 })
    expect(error.message.startsWith(begins), error.message).toBe(true)
    expect(error.message).toContain(`unable to execute QEMU command 'block-job-set-speed': ${desc}`)
    expect(await domain.blockJobInfo('vda')).toMatchObject({ bandwidth: 2 ** 20 })
    expect(await job.abort()).toMatchObject({ state: 'cancelled' })
  })
})
