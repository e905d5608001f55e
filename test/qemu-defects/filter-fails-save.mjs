// SPDX-License-Identifier: Apache-2.0
//
// A filter that may write to an image, though nobody writes through it, keeps QEMU from letting the image go: as long
// as it is there, every migration and every save of the guest fails. So does the filter by which a node is flushed.

import { createImage, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

await reproduce('a guest with such a filter over its image cannot be saved', async () => {
  createImage('top.qcow2', '1M')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  await client.execute('cont')
  const save = async () => {
    await client.execute('migrate', { uri: 'exec:cat >/dev/null' })
    for (;;) {
      const { status } = await client.execute('query-migrate')
      if (status === 'completed' || status === 'failed') return status
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const without = await save()
  say(`saved without a filter: ${without}`)
  if (without !== 'completed') throw new Error('the guest cannot be saved at all')
  await client.execute('cont')
  const filter = { driver: 'blkdebug', 'node-name': 'filter', image: 'top', 'take-child-perms': ['write-unchanged'] }
  await client.execute('blockdev-add', filter)
  const beside = await save()
  say(`saved with the filter: ${beside}`)
  await qemu.quit(client)
  return beside === 'failed'
})
