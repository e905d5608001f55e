// SPDX-License-Identifier: Apache-2.0
//
// The package loaded more than once: two copies of it in one process, and one copy in several threads. Copies know
// nothing of each other, so image locks keep them apart; threads share an engine, so its registry does.

import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, expect, test } from 'vitest'
import { makeChain } from '../support/images/stream-case.js'
import { TempFolder } from '../support/temp-folder.js'

type Package = typeof import('../../lib/index.js')

const root = join(import.meta.dirname, '../..')
const temp = new TempFolder('copies')
afterAll(() => temp.remove())

/** A copy of what npm would install, with a binary of its own. */
async function copy(): Promise<Package> {
  const folder = temp.folder('copy')
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  mkdirSync(join(folder, 'build/Release'), { recursive: true })
  cpSync(join(root, 'build/Release/blockpull.node'), join(folder, 'build/Release/blockpull.node'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return (await import(/* @vite-ignore */ join(folder, 'dist/index.js'))) as Package
}

const overlay = () => makeChain(temp.folder(), { size: '4M', io: ['write -P 1 0 4M'] }, { size: '4M' })

test('two copies pull side by side, and lock each other out of one image', async () => {
  const [first, second] = [await copy(), await copy()]
  const { top } = await overlay()
  const job = await first.pullImage(top, { bandwidth: '256KiB/s' })
  const error: unknown = await second.pullImage(top).catch((thrown) => thrown)
  expect(error).toMatchObject({ code: 'LOCKED', holder: expect.stringContaining(`pid ${process.pid}`) })
  const others = await Promise.all([overlay(), overlay()])
  await Promise.all(
    others.map(async (chain, index) => {
      const pull = await (index === 0 ? first : second).pullImage(chain.top)
      expect((await pull.done).state).toBe('completed')
    }),
  )
  await job.abort()
  await expect((await second.pullImage(top)).done).resolves.toMatchObject({ state: 'completed' })
})

test('an error of one copy is known to the other', async () => {
  const [first, second] = [await copy(), await copy()]
  const error: unknown = await first.inspectChain(temp.file('none')).catch((thrown) => thrown)
  expect(error).not.toBeInstanceOf(second.BlockPullError)
  expect(second.BlockPullError.is(error)).toBe(true)
})

/** Runs `body` in a worker with the built package as `blockpull` and gives what it posts. */
function inWorker(body: string): Promise<unknown> {
  const code = `
    const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(join(root, 'dist/index.js'))})
      .then(async (blockpull) => { ${body} })
      .then((value) => parentPort.postMessage(value))`
  return new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true })
    let posted: unknown
    worker.on('message', (value) => {
      posted = value
    })
    worker.on('error', reject)
    worker.on('exit', () => resolve(posted))
  })
}

test('workers pull at the same time, each on its own thread', async () => {
  const chains = await Promise.all(Array.from({ length: 4 }, overlay))
  const states = await Promise.all(
    chains.map(({ top }) =>
      inWorker(`
        const job = await blockpull.pullImage(${JSON.stringify(top)})
        return (await job.done).state`),
    ),
  )
  expect(states).toEqual(['completed', 'completed', 'completed', 'completed'])
})

test('the second of two workers on one image gets the error that it has a job', async () => {
  const { top } = await overlay()
  const pull = `
    const job = await blockpull.pullImage(${JSON.stringify(top)}, { bandwidth: '4MiB/s' }).catch((error) => error)
    return job.code ?? (await job.done).state`
  const ends = await Promise.all([inWorker(pull), inWorker(pull)])
  expect(ends.sort()).toEqual(['JOB_ACTIVE', 'completed'])
})
