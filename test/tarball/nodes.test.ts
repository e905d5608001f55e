// SPDX-License-Identifier: Apache-2.0
//
// The packed package on each line of Node that it takes: by the command, in the main thread, in workers, by two copies
// in one process, and by require().

import { cpSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TempFolder } from '../support/temp-folder.js'
import { Consumer, movedBytes } from './consumer.js'
import { fetchTimeout, nodeOf, nodeVersions } from './tools.js'

const temp = new TempFolder('nodes')
afterAll(() => temp.remove())

const good = { state: 'completed', bytesMoved: movedBytes, isSame: true }
let project: Consumer

beforeAll(async () => {
  project = await Consumer.make(temp)
  cpSync(project.file('node_modules'), project.file('second/node_modules'), { recursive: true })
})

describe.each(nodeVersions)('on Node %s', (version) => {
  let node: string
  beforeAll(async () => {
    node = await nodeOf(version)
  }, fetchTimeout)

  it('is that version', async () => {
    expect(await project.run(node, '--version')).toEqual({ code: 0, stdout: `v${version}\n`, stderr: '' })
  })

  it('the command pulls', async () => {
    const image = await project.overlay()
    const { code, stdout, stderr } = await project.run(node, 'node_modules/.bin/blockpull', 'pull', image, '--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const end = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    expect(end).toMatchObject({ event: 'end', state: 'completed', bytesMoved: movedBytes, durable: true })
  })

  it.each([
    ['main', 1],
    ['workers', 2],
    ['twice', 2],
    ['require', 1],
  ])('a program pulls: %s', async (how, count) => {
    const images: string[] = []
    for (let index = 0; index < count; index += 1) images.push(await project.overlay())
    const copy = how === 'twice' ? [project.file('second/node_modules/blockpull')] : []
    const flags = how === 'require' ? ['--no-warnings'] : []
    const { code, stdout, stderr } = await project.run(node, ...flags, 'pull-process.mjs', how, ...copy, ...images)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual(images.map(() => good))
  })
})
