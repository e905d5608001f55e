// SPDX-License-Identifier: Apache-2.0
//
// What the files of a guest's disk say while QEMU may have them open: the chain by the headers, and the content. It is
// what a new QEMU would find if this one were killed now, since nothing in QEMU's memory is seen.

import { readFileSync, realpathSync, rmSync } from 'node:fs'
import type { ImageInfo } from './qemu.js'
import { runWell } from './run-program.js'

export interface Layer {
  readonly path: string
  readonly format: string
  /** Bytes that a guest sees. */
  readonly size: number
  /** Bytes of the file. */
  readonly fileSize: number
  /** 512 where the format has no clusters. */
  readonly clusterSize: number
  /** Whether the tables are to be mended by the next QEMU that writes, as after a death with lazy refcounts. */
  readonly isDirty: boolean
}

interface LayerInfo extends ImageInfo {
  readonly filename: string
  readonly 'dirty-flag'?: boolean
}

/** The chain that the headers lead through from an active image, which is the first. */
export async function headerChain(path: string): Promise<Layer[]> {
  const output = await runWell('qemu-img', ['info', '-U', '-f', 'qcow2', '--backing-chain', '--output=json', path])
  const found: LayerInfo[] = JSON.parse(output)
  return found.map((layer) => ({
    path: realpathSync(layer.filename),
    format: layer.format,
    size: layer['virtual-size'],
    fileSize: readFileSync(layer.filename).length,
    clusterSize: layer['cluster-size'] ?? 512,
    isDirty: layer['dirty-flag'] ?? false,
  }))
}

/** What a guest reads. */
export async function readDisk(path: string): Promise<Buffer> {
  const raw = `${path}.found`
  await runWell('qemu-img', ['convert', '-U', '-f', 'qcow2', '-O', 'raw', path, raw])
  const content = readFileSync(raw)
  rmSync(raw)
  return content
}
