// SPDX-License-Identifier: Apache-2.0
//
// Many peers in one process, for tests of scale: `node peer-process.mjs '{"folder": "/tmp/x", "count": 1000}'`.
// Prints one line once all of them listen, and ends when its standard input does, so that it cannot outlive
// whoever started it. Each peer has one disk, drive vda, an overlay `top` on a `base`; or the disks that are given.

import { join } from 'node:path'
import { mute } from './faults.mjs'
import { QmpPeer } from './peer.mjs'

/** Ticks of a job; more would cost more time for a thousand jobs than they show. */
const ticksPerJob = 10

/** @type {import('./types.js').PeerProcessOptions} */
const options = JSON.parse(process.argv[2] ?? '{}')
const { folder, count, muteFraction = 0, jobTimeMs = 100, diskBytes = 2 ** 30, disks, lie = {} } = options

/** Spreads the mute ones evenly. @param {number} index */
const isMute = (index) => Math.floor((index + 1) * muteFraction) > Math.floor(index * muteFraction)

const peers = await Promise.all(
  Array.from({ length: count }, (_, index) =>
    QmpPeer.start({
      path: join(folder, `vm${index}.qmp`),
      name: `vm${index}`,
      lie,
      disks: disks ?? [
        {
          device: 'vda',
          nodes: [
            { nodeName: 'top', filename: join(folder, `vm${index}.qcow2`), virtualSize: diskBytes },
            { nodeName: 'base', filename: join(folder, 'base.qcow2'), virtualSize: diskBytes },
          ],
        },
      ],
      progressPerTick: Math.ceil(diskBytes / ticksPerJob),
      tickMs: Math.max(1, Math.round(jobTimeMs / ticksPerJob)),
      faults: isMute(index) ? [mute()] : [],
    }),
  ),
)

process.stdout.write(`${JSON.stringify({ ready: peers.length })}\n`)
process.stdin.resume().once('end', async () => {
  await Promise.all(peers.map((peer) => peer.stop()))
  process.exit(0)
})
