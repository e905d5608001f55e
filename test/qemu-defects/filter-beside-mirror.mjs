// SPDX-License-Identifier: Apache-2.0
//
// A disk that an I/O thread serves is being mirrored, and a filter is put over its image: QEMU ends over a lock that it
// does not hold. The filter by which a node is flushed is one. Whether QEMU ends depends on what the I/O thread does at
// that moment, so this tries it several times.

import { createImage, endInsteadOf, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

const attempts = 10

async function endsQemu() {
  const devices = [
    ...['-object', 'iothread,id=thread', '-device', 'virtio-scsi-pci,iothread=thread'],
    ...['-device', 'scsi-hd,drive=top'],
  ]
  const { qemu, client } = await startQemu([qcow2Node('top'), qcow2Node('copy')], { machine: 'q35', devices })
  await client.execute('blockdev-mirror', { 'job-id': 'mirror', device: 'top', target: 'copy', sync: 'full' })
  await client.event('BLOCK_JOB_READY')
  say('the mirror is there; now the filter')
  const filter = { driver: 'blkdebug', 'node-name': 'filter', image: 'top', 'take-child-perms': ['write-unchanged'] }
  const end = await endInsteadOf(qemu, client.execute('blockdev-add', filter))
  if (end === null) {
    say('it was put in')
    await qemu.quit(client)
    return false
  }
  say(`QEMU ended by ${end.signal}`)
  return end.signal === 'SIGABRT'
}

await reproduce('a filter over an image in an I/O thread, beside a mirror, ends QEMU', async () => {
  createImage('top.qcow2', '1M')
  createImage('copy.qcow2', '1M')
  for (let attempt = 0; attempt < attempts; attempt += 1) if (await endsQemu()) return true
  return false
})
