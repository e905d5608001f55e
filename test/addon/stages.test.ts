// SPDX-License-Identifier: Apache-2.0
//
// The end of an environment at every stage of a job: process.exit, a worker that exits or is terminated, a process
// that has nothing left to do. Each time there is no crash and no hang, the image is free of corruption (clusters
// that nothing refers to may be left), and the next pull completes and leaves none. With BLOCKPULL_ASAN_ADDON, as
// `npm run test:asan` runs it, a memory error or a leak of ours fails it as well.

import { execFile } from 'node:child_process'
import { afterAll, describe, expect, test } from 'vitest'
import { makeChain, pulled } from '../support/images/stream-case.js'
import { StagePackage } from '../support/processes/stage-package.js'
import { check } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('stages')
const underTest = StagePackage.make(temp)
afterAll(() => temp.remove())

const stages = [
  'before the start is answered',
  'right after the start',
  'in the middle',
  'at full speed',
  'while it is aborted',
  'in the turn of its end',
  'as the job of a connection',
  'while its connection closes',
  'while a digest is made',
  'while chains are read',
  'while it runs unwatched',
]

interface Ended {
  readonly code: number | string
  readonly printed: string
}

function endAt(how: string, stage: string, image: string): Promise<Ended> {
  const { script, env } = underTest
  return new Promise((resolve) => {
    execFile(process.execPath, [script, how, stage, image], { timeout: 90_000, env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : (error.code ?? error.signal ?? 'killed')
      resolve({ code, printed: stdout + underTest.complaints(stderr) })
    })
  })
}

async function expectCleanEnd(how: string, stage: string): Promise<void> {
  const { top } = await makeChain(temp.folder(), { size: '32M', io: ['write -P 1 0 16M'] }, { size: '32M' })
  expect(await endAt(how, stage, top)).toEqual({ code: 7, printed: '' })
  const { code, report } = await check(top)
  expect([0, 3], report).toContain(code)
  expect(await pulled(top)).toMatchObject({ state: 'completed' })
  expect((await check(top)).code).toBe(0)
}

describe.each([
  ['exit', 'process.exit'],
  ['worker-exit', 'process.exit in a worker'],
  ['terminate', 'worker.terminate'],
])('%s', (how, name) => {
  test.each(stages)(`${name}: a job is left well %s`, (stage) => expectCleanEnd(how, stage))
})

test('a process whose only work is a released job ends', async () => {
  await expectCleanEnd('fall-through', 'while it runs unwatched')
})
