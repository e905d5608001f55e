// SPDX-License-Identifier: Apache-2.0
//
// Calls wait for no thread of libuv's pool, which every file operation of the process shares: they are answered while
// that pool is held by somebody else.

import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('own-threads')
afterAll(() => temp.remove())

test('every call on an image is answered while all libuv threads are blocked', () => {
  const folder = temp.folder()
  execFileSync('mkfifo', [`${folder}/fifo`])
  const script = `
    import { open } from 'node:fs/promises'
    import { closeSync, openSync } from 'node:fs'
    import * as blockpull from ${JSON.stringify(join(process.cwd(), 'dist/index.js'))}
    // The only thread waits for somebody who writes.
    const held = open(${JSON.stringify(`${folder}/fifo`)}, 'r')
    const image = ${JSON.stringify(`${folder}/image`)}
    await blockpull.createImage(image, { size: 1 << 20 })
    await blockpull.inspectChain(image)
    await blockpull.digestImage(image)
    await blockpull.plan(image)
    await (await blockpull.pullImage(image)).done
    const disks = [{ target: 'vda', source: image, format: 'qcow2' }]
    const connection = await blockpull.connect({ domains: [{ name: 'vm0', disks }] })
    await (await connection.lookupByName('vm0')).plan('vda')
    await connection.close()
    closeSync(openSync(${JSON.stringify(`${folder}/fifo`)}, 'w'))
    await (await held).close()
    console.log('answered')`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    timeout: 60_000,
  })
  expect({ stdout, stderr, status }).toEqual({ stdout: 'answered\n', stderr: '', status: 0 })
})
