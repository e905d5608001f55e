// SPDX-License-Identifier: Apache-2.0
//
// Whenever QEMU drains its block devices it pauses the jobs for that moment, and says so with the same event
// that follows a client's job-pause: 'stop' and 'cont' do it, and so do other jobs that start or end.

import { createImage, killQemu, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce("a job reports 'paused' although nobody paused it", async () => {
  createImage('base.qcow2', '4M', { writes: ['write -P 0xbb 0 4M'] })
  createImage('top.qcow2', '4M', { backing: 'base.qcow2' })
  const { qemu, client } = await startQemu([qcow2Node('top')])
  await client.execute('block-stream', { 'job-id': 'pull', device: 'top', speed: 65536 })
  await client.status('pull', 'running')
  client.messages = []
  say("block-stream at 64 KiB/s; then 'stop' and 'cont', and no job-pause")
  await client.execute('stop')
  await client.execute('cont')
  const [job] = await client.execute('query-jobs')
  const states = client.messages.filter(({ event }) => event === 'JOB_STATUS_CHANGE').map(({ data }) => data.status)
  say(`states that the job went through: ${states.join(', ') || 'none'}; it is ${job.status}`)
  await killQemu(qemu)
  return states.includes('paused')
})
