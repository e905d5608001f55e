// SPDX-License-Identifier: Apache-2.0
//
// The only command of QEMU that is made to flush a node is qemu-io, of the human monitor. It prints errors where
// QEMU was started, and the client gets the same empty text whether the flush worked or failed. blockdev-reopen flushes
// first and does report that; here it is asked to reopen a filter of our own, which changes nothing else.

import { createImage, killQemu, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a flush that fails looks like one that worked', async () => {
  createImage('top.qcow2', '4M')
  const fault = { event: 'none', iotype: 'flush', errno: 5 }
  const file = { driver: 'blkdebug', image: { driver: 'file', filename: 'top.qcow2' }, 'inject-error': [fault] }
  const { qemu, client } = await startQemu([{ ...qcow2Node('top'), file }])
  /** @param {string} line @returns {Promise<string>} */
  const human = (line) => client.execute('human-monitor-command', { 'command-line': line })
  say('every flush of the file fails with EIO; something is written')
  await human('qemu-io top "write 0 64k"')
  const text = await human('qemu-io top flush')
  say(`qemu-io top flush: ${JSON.stringify(text)}`)
  const filter = { driver: 'blkdebug', 'node-name': 'flusher', image: 'top', 'take-child-perms': ['write-unchanged'] }
  await client.execute('blockdev-add', filter)
  const reopened = client.execute('blockdev-reopen', { options: [filter] })
  const error = await reopened.then(
    () => null,
    (refusal) => refusal,
  )
  say(`blockdev-reopen of a filter above it: ${error?.desc ?? 'no error'}`)
  await killQemu(qemu)
  if (!error) throw new Error('the flush did not fail')
  return text === ''
})
