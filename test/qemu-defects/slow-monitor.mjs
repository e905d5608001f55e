// SPDX-License-Identifier: Apache-2.0
//
// QEMU reads its monitor's socket one byte at a time, so a command takes as long as it is long: one of a mebibyte
// takes seconds, and the main loop works for nobody else's command on that monitor meanwhile.

import { createImage, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

const commandBytes = 128 * 1024
const slowBytesPerSecond = 2 * 1024 * 1024

await reproduce('a long command takes the monitor seconds to read', async () => {
  createImage('top.qcow2', '4M')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  const began = performance.now()
  await client.execute('human-monitor-command', { 'command-line': `print ${'0'.repeat(commandBytes)}` })
  const seconds = (performance.now() - began) / 1000
  const bytesPerSecond = commandBytes / seconds
  say(`a command of ${commandBytes >> 10} KiB was answered after ${seconds.toFixed(2)} s`)
  say(`that is ${Math.round(bytesPerSecond / 1024)} KiB/s; under ${slowBytesPerSecond >> 10} KiB/s counts as slow`)
  await qemu.quit(client)
  return bytesPerSecond < slowBytesPerSecond
})
