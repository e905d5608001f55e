// SPDX-License-Identifier: Apache-2.0
//
// A QEMU that is killed just after it said BLOCK_JOB_COMPLETED leaves an image without a backing file and without
// the data. At the end of the job QEMU takes the backing file out of the header, which goes to the disk's file at
// once, while the L2 tables that refer to the copied clusters are still in its own memory. lost-despite-flush.mjs shows
// the remedy.

import {
  backingName,
  createImage,
  flatten,
  killQemu,
  qcow2Node,
  readsAs,
  reproduce,
  say,
  startQemu,
} from './reproduce.mjs'

await reproduce('a completed block-stream is lost when QEMU is killed', async () => {
  createImage('base.qcow2', '16M', { writes: ['write -P 0x55 0 16M'] })
  createImage('top.qcow2', '16M', { backing: 'base.qcow2' })
  flatten('top.qcow2', 'before.raw')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  say('block-stream of the whole chain, with the defaults')
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top' })
  const { data } = await client.event('BLOCK_JOB_COMPLETED')
  say(`BLOCK_JOB_COMPLETED, offset ${data.offset} of ${data.len}, error ${data.error ?? 'none'}`)
  await killQemu(qemu)
  say(`backing file in the header: ${backingName('top.qcow2')}`)
  return backingName('top.qcow2') === 'none' && !readsAs('before.raw', 'top.qcow2')
})
