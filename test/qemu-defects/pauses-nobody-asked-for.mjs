// SPDX-License-Identifier: Apache-2.0
//
// Whenever QEMU drains its block devices it pauses the jobs for that moment, and says so with the same event
// that follows a client's job-pause: 'stop' and 'cont' do it, and so do other jobs that start or end.

import { createImage, qcow2Node, reproduce, say, startQemu } from './qemu.mjs'

await reproduce("a job reports 'paused' although nobody paused it", async () => {
  createImage('base.qcow2', '4M', { writes: ['write -P 0xbb 0 4M'] })
  createImage('top.qcow2', '4M', { backing: 'base.qcow2' })
  const qemu = await startQemu([qcow2Node('top')])
  await qemu.command('block-stream', { 'job-id': 'pull', device: 'top', speed: 65536 })
  await qemu.waitFor('the job runs', ({ event, data }) => event === 'JOB_STATUS_CHANGE' && data.status === 'running')
  qemu.messages = []
  say("block-stream at 64 KiB/s; then 'stop' and 'cont', and no job-pause")
  await qemu.command('stop')
  await qemu.command('cont')
  const [job] = await qemu.command('query-jobs')
  const states = qemu.messages.filter(({ event }) => event === 'JOB_STATUS_CHANGE').map(({ data }) => data.status)
  say(`states that the job went through: ${states.join(', ') || 'none'}; it is ${job.status}`)
  await qemu.kill()
  return states.includes('paused')
})
