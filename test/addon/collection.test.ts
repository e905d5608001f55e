// SPDX-License-Identifier: Apache-2.0
//
// What the garbage collector may take, and what it may not: a dropped handle stops no job, and handles that are
// done with do not pile up. Runs in a child process with --expose-gc.

import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { makeChain } from '../support/images/stream-case.js'
import { runWell } from '../support/processes/run-program.js'
import { info } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('collection')
afterAll(() => temp.remove())

const inChild = (task: string, image: string) =>
  runWell(process.execPath, ['--expose-gc', join(import.meta.dirname, 'collection-process.mjs'), task, image])

const overlay = () => makeChain(temp.folder(), { size: '4M', io: ['write -P 1 0 4M'] }, { size: '4M' })

test('a job whose handle is dropped continues, and keeps the process alive to its end', async () => {
  const { top } = await overlay()
  expect(await inChild('drop a job', top)).toBe('collected\n')
  expect((await info(top))['backing-filename']).toBeUndefined()
})

test('a job of a dropped connection continues', async () => {
  const { top } = await overlay()
  expect(await inChild('drop a connection', top)).toBe('dropped\n')
  expect((await info(top))['backing-filename']).toBeUndefined()
})

test('a thousand jobs and connections leave nothing behind', async () => {
  const { top } = await overlay()
  const { handles, megabytes } = JSON.parse(await inChild('churn', top)) as { handles: number; megabytes: number }
  expect(handles).toBeLessThan(50)
  expect(megabytes).toBeLessThan(30)
})
