// SPDX-License-Identifier: Apache-2.0
//
// QEMU 7.2 closes the connections of its NBD server before it takes the server down, and waits for their end in the
// main loop. A client that has not chosen an export yet is never woken there: QEMU answers no command any more,
// and the guest's devices stand still, also after that client has gone.

import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createImage, folder, killQemu, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

const patienceMs = 3000

await reproduce('nbd-server-stop hangs QEMU while a client is still shaking hands', async () => {
  createImage('top.qcow2', '4M')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  const path = join(folder, 'nbd.sock')
  await client.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } })
  const shaking = connect(path)
  await once(shaking, 'data')
  say('a client is connected and has got the greeting; nbd-server-stop')
  const answer = client.execute('nbd-server-stop').then(() => true)
  const patience = new Promise((resolve) => setTimeout(() => resolve(false), patienceMs))
  const isAnswered = await Promise.race([answer, patience])
  say(isAnswered ? 'it was answered' : `no answer within ${patienceMs / 1000} s`)
  answer.catch(() => {})
  shaking.destroy()
  await killQemu(qemu)
  return !isAnswered
})
