// SPDX-License-Identifier: Apache-2.0
//
// Overlays as QEMU's tools leave them, made in every way that changes how their file ends: preallocation, compressed
// clusters, a writer that was killed, another size, snapshots and bitmaps that came and went. All of them are sound,
// and nobody has put anything behind them.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../processes/run-program.js'
import { qemuImg, tryQemuIo } from '../qemu/qemu.js'
import type { Random } from '../random.js'

export interface SoundImage {
  readonly path: string
  readonly story: readonly string[]
  /** Somebody has written compressed clusters, which may have been given up since. */
  readonly wasCompressed: boolean
}

type Step = (image: { path: string; size: number }, random: Random) => Promise<string>

function writes(random: Random, size: number, count: number, kind: string): string[] {
  return Array.from({ length: count }, () => {
    const length = random.scaled(512, size / 8)
    const at = random.below((size - length) / 512) * 512
    return `write ${kind} ${at} ${Math.max(512, Math.floor(length / 512) * 512)}`
  })
}

/** Kills a qemu-io in the middle of its writes, none of them flushed. */
async function killedWriter(path: string, commands: readonly string[], random: Random): Promise<void> {
  const args = ['-t', 'writeback', '-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), path]
  const child = spawn('qemu-io', args, { stdio: 'ignore' })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await sleep(random.below(120))
  child.kill('SIGKILL')
  await ended
}

const steps: readonly [Step, ...Step[]] = [
  async ({ path, size }, random) => {
    await tryQemuIo(path, 'qcow2', ...writes(random, size, random.between(1, 6), '-P 7'))
    return 'written'
  },
  async ({ path, size }, random) => {
    await killedWriter(path, writes(random, size, 40, '-P 9'), random)
    return 'killed'
  },
  async ({ path, size }, random) => {
    await tryQemuIo(path, 'qcow2', ...writes(random, size, 2, '-z'))
    return 'zeroed'
  },
  async ({ path, size }, random) => {
    const to = random.pick([size * 2, size / 2])
    await run('qemu-img', ['resize', '-q', ...(to < size ? ['--shrink'] : []), '-f', 'qcow2', path, String(to)])
    return `resized to ${to}`
  },
  async ({ path, size }, random) => {
    await run('qemu-img', ['snapshot', '-c', 'one', path])
    await tryQemuIo(path, 'qcow2', ...writes(random, size, 2, '-P 11'))
    if (random.chance(0.5)) await run('qemu-img', ['snapshot', '-a', 'one', path])
    await run('qemu-img', ['snapshot', '-d', 'one', path])
    return 'snapshot made and deleted'
  },
  async ({ path, size }, random) => {
    await run('qemu-img', ['bitmap', '--add', path, 'some'])
    await tryQemuIo(path, 'qcow2', ...writes(random, size, 2, '-P 13'))
    await run('qemu-img', ['bitmap', '--remove', path, 'some'])
    return 'bitmap made and removed'
  },
]

/** One such image in the folder, over a raw base that is there. */
export async function makeSoundImage(folder: string, base: string, random: Random): Promise<SoundImage> {
  const path = join(folder, 'sound')
  const clusterSize = random.pick([512, 4096, 65536, 65536, 2097152])
  const size = clusterSize === 2097152 ? 16 << 20 : 4 << 20
  const image = { path, size }
  const story = [`clusters of ${clusterSize}`]
  const options = `cluster_size=${clusterSize},compat=${random.pick(['1.1', '1.1', '0.10'])}`
  const make = random.below(4)
  if (make === 0) {
    const mode = random.pick(['metadata', 'falloc', 'full'])
    story.push(`preallocation ${mode}`)
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', `${options},preallocation=${mode}`, path, String(size))
  } else if (make === 1) {
    story.push('converted, compressed')
    await qemuImg('convert', '-c', '-O', 'qcow2', '-o', options, '-f', 'raw', base, path)
  } else {
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, String(size))
  }
  if (make === 2) {
    const commands = Array.from(
      { length: random.between(1, 12) },
      (_, at) => `write -c -P ${at} ${at * clusterSize} ${clusterSize}`,
    )
    const isKilled = random.chance(0.3)
    story.push(isKilled ? 'compressed clusters written, killed' : 'compressed clusters written')
    if (isKilled) await killedWriter(path, commands, random)
    else await tryQemuIo(path, 'qcow2', ...commands)
    if (random.chance(0.5)) {
      const first = random.below(commands.length)
      story.push(`compressed clusters from ${first} on given up`)
      await tryQemuIo(path, 'qcow2', `write -z ${first * clusterSize} ${(commands.length - first) * clusterSize}`)
    }
  }
  for (let step = random.below(3); step > 0; step--) story.push(await random.pick(steps)(image, random))
  await run('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', base, '-F', 'raw', path])
  return { path, story, wasCompressed: make === 1 || make === 2 }
}
