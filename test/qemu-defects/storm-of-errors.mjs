// SPDX-License-Identifier: Apache-2.0
//
// QEMU's JSON parser gives up at a nesting of 1024, forgets the brackets that are open, and then takes every closing
// one for an error of its own. Each is answered, without an id: one bad message makes a thousand replies that
// belong to no command.

import { createImage, qcow2Node, reproduce, say, startQemu } from './reproduce.mjs'

const depth = 1100

await reproduce('one malformed message is answered by hundreds of errors', async () => {
  createImage('top.qcow2', '4M')
  const { qemu, client } = await startQemu([qcow2Node('top')])
  client.messages = []
  say(`sending ${depth} opening brackets, as many closing ones, and then a good command`)
  client.write(`${'['.repeat(depth)}${']'.repeat(depth)}`)
  await client.execute('query-version')
  const errors = client.messages.filter(({ error, id }) => error && id === undefined)
  say(`errors without an id: ${errors.length}; the first: ${errors[0]?.error.desc}`)
  await qemu.quit(client)
  return errors.length > 100
})
