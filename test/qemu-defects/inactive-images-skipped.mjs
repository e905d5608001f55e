// SPDX-License-Identifier: Apache-2.0
//
// While a guest is migrated, or saved to a file, its images are inactive. QEMU lets a block-stream go on meanwhile,
// skips every write and counts it as done. Once the guest goes on here, the job ends without an error, and the
// backing file leaves the header. What was skipped is gone; qemu-img check finds nothing.

import { createImage, flatten, qcow2Node, readsAs, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a stream goes on while its images are inactive, and counts what it skips', async () => {
  createImage('base.qcow2', '16M', { writes: ['write -P 0xbb 0 16M'] })
  createImage('top.qcow2', '16M', { backing: 'base.qcow2' })
  flatten('top.qcow2', 'before.raw')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  await client.execute('cont')
  say('block-stream of the whole chain, one byte a second: it copies one piece and waits')
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', speed: 1, 'auto-finalize': false })
  say('migrate to a file')
  await client.execute('migrate', { uri: 'exec:cat >state' })
  for (;;) {
    const { status } = await client.execute('query-status')
    if (status === 'postmigrate') break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  say('postmigrate; the limit is lifted')
  await client.execute('block-job-set-speed', { device: 'pull', speed: 0 })
  await client.event('BLOCK_JOB_PENDING')
  say('the job is at pending; cont, job-finalize')
  await client.execute('cont')
  await client.execute('job-finalize', { id: 'pull' })
  const { data } = await client.event('BLOCK_JOB_COMPLETED')
  say(`BLOCK_JOB_COMPLETED, error ${data.error ?? 'none'}`)
  await qemu.quit(client)
  return !readsAs('before.raw', 'top.qcow2')
})
