// SPDX-License-Identifier: Apache-2.0
//
// What an outcome claims, and what it is claimed by: the files, where they are to be seen from here, else nothing. And
// what is refused because it cannot be seen, or is not what somebody wants filled.

import { renameSync, symlinkSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { connect } from '../../lib/index.js'
import { makeChain, pathAt } from '../support/images/stream-case.js'
import { LiveDisk } from '../support/qemu/live-disk.js'
import { expectWhole } from '../support/qemu/live-verdict.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('seen-by-files')
afterAll(() => temp.remove())

const layers = (folder = temp.folder()) =>
  makeChain(
    folder,
    { name: 'base', size: '4M', io: ['write -P 1 0 2M'] },
    { name: 'mid', size: '4M', io: ['write -P 2 1M 2M'] },
    { name: 'top', size: '4M', io: ['write -P 3 2M 64k'] },
  )

describe('an outcome', () => {
  test('is verified by the files, even if QEMU has them by relative names', async () => {
    const chain = await layers()
    const diskArgs = ['-drive', 'if=none,id=d0,file=top,format=qcow2', '-device', 'virtio-blk-pci,drive=d0']
    const live = await LiveDisk.start(chain, { diskArgs, disks: [] })
    expect(await live.pull({}, 'd0')).toMatchObject({ state: 'completed', verified: true, durable: true })
    await expectWhole(live)
  })

  test('is not verified, and releases nothing, if a file is not the one that QEMU has open', async () => {
    const chain = await layers()
    const live = await LiveDisk.start(chain)
    const base = pathAt(chain, 2)
    renameSync(base, `${base}.moved`)
    const outcome = await live.pull()
    expect(outcome).toMatchObject({ state: 'completed', verified: false, released: [] })
    expect(outcome.warnings).toEqual([expect.stringContaining(base)])
    await expectWhole(live)
  })

  test('is not durable if the disk ignores flushes', async () => {
    const chain = await layers()
    const drive = `if=none,id=d0,file=${chain.top},format=qcow2,cache=unsafe`
    const live = await LiveDisk.start(chain, { diskArgs: ['-drive', drive, '-device', 'virtio-blk-pci,drive=d0'] })
    const outcome = await live.pull()
    expect(outcome).toMatchObject({ state: 'completed', verified: true, durable: false, released: [] })
    expect(outcome.warnings).toEqual([expect.stringContaining('cache=unsafe')])
    await expectWhole(live)
  })
})

describe('a temporary active image is refused, and no file is reported as released:', () => {
  test.each([
    ['-snapshot', ['-snapshot'], ''],
    ['snapshot=on', [], ',snapshot=on'],
  ])('%s', async (_, args, option) => {
    const chain = await layers()
    const drive = `if=none,id=d0,file=${chain.top},format=qcow2${option}`
    const diskArgs = ['-drive', drive, '-device', 'virtio-blk-pci,drive=d0', ...args]
    const live = await LiveDisk.start(chain, { diskArgs, disks: [] })
    const domain = await live.domain()
    await expect(domain.blockPull('d0')).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(chain.top),
    })
    expect((await domain.plan('d0')).refusals[0]).toMatchObject({ code: 'UNSUPPORTED' })
    expect(await live.jobs()).toEqual([])
  })

  test('one that libvirt makes for a transient disk', async () => {
    const folder = temp.folder()
    const chain = await makeChain(
      folder,
      { name: 'base', size: '4M', io: ['write -P 1 0 2M'] },
      { name: 'disk.TRANSIENT-vm0', size: '4M' },
    )
    const live = await LiveDisk.start(chain, { disks: [] })
    await expect((await live.domain()).blockPull('disk')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })
})

describe('folders that backing files must lie in', () => {
  test('hold for running guests, in the plan too', async () => {
    const chain = await layers()
    const live = await LiveDisk.start(chain)
    const connection = await connect({ ...live.target, backingPaths: [temp.folder()] })
    const domain = await connection.lookupByName('vm0')
    await expect(domain.blockPull('vda')).rejects.toMatchObject({ code: 'POLICY' })
    expect((await domain.plan('vda')).refusals[0]).toMatchObject({ code: 'POLICY' })
    await connection.close()
    expect(await live.jobs()).toEqual([])
  })

  test('allow a pull whose backing files are in them', async () => {
    const chain = await layers()
    const live = await LiveDisk.start(chain)
    const connection = await live.connect({ backingPaths: [chain.folder] })
    const job = await (await connection.lookupByName('vm0')).blockPull('vda')
    expect(await job.done).toMatchObject({ state: 'completed' })
    await expectWhole(live)
  })
})

test('a disk is found by a link to its file', async () => {
  const chain = await layers()
  const link = `${temp.folder()}/link`
  symlinkSync(chain.top, link)
  const live = await LiveDisk.start(chain, { disks: [{ target: 'vda', source: link, format: 'qcow2' }] })
  expect(await live.pull({ base: pathAt(chain, 2) })).toMatchObject({ state: 'completed', verified: true })
  await expectWhole(live, pathAt(chain, 2))
})
