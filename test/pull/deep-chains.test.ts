// SPDX-License-Identifier: Apache-2.0
//
// Chains as deep as nightly snapshots make them: each layer with a cluster of its own, its own cluster size and
// length, every seventh without data.

import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { inspectChain, pullImage } from '../../lib/index.js'
import { type ClusterContent, writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { expectRefusal } from '../support/images/refusal.js'
import { type CaseChain, chainOf, pullWell } from '../support/images/stream-case.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('deep')
afterAll(() => temp.remove())

const size = 4 * 1048576

/** A chain of so many layers, the base named 'layer0'. */
function deepChain(layers: number): CaseChain {
  const folder = temp.folder()
  const names = Array.from({ length: layers }, (_, layer) => `layer${layer}`)
  for (const [layer, name] of names.entries()) {
    const clusterBits = 9 + ((layer * 5) % 9)
    const length = layer % 3 === 1 ? size - 65536 * (layer % 16) - 512 : size
    const guestCluster = Math.floor(((layer * 7919 * 512) % length) / 2 ** clusterBits)
    const content: ClusterContent = layer % 11 === 4 ? { zero: true } : { data: Buffer.alloc(2 ** clusterBits, layer) }
    const clusters = new Map(layer % 7 === 6 ? [] : [[guestCluster, content]])
    const backing = layer === 0 ? {} : { backingFile: `layer${layer - 1}`, backingFormat: 'qcow2' }
    writeQcow2(join(folder, name), { size: length, clusterBits, clusters, ...backing })
  }
  return chainOf(folder, ...names.reverse())
}

describe('a chain of 200 layers', () => {
  test('is pulled whole', async () => {
    const chain = deepChain(200)
    const { released } = await pullWell(chain)
    expect(released).toHaveLength(199)
  })

  test('is pulled down to its 150th layer', async () => {
    const chain = deepChain(200)
    const { released } = await pullWell(chain, 150)
    expect(released).toHaveLength(149)
    expect(await inspectChain(chain.top)).toHaveLength(51)
  })
})

test('a chain of 256 layers is the longest; one more is refused', async () => {
  const chain = deepChain(257)
  await expectRefusal(chain.top, { code: 'UNSUPPORTED', sentence: /longer than 256 layers/ })
  const job = await pullImage(join(chain.folder, 'layer255'))
  expect((await job.done).state).toBe('completed')
})
