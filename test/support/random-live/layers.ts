// SPDX-License-Identifier: Apache-2.0
//
// What the files of a guest's disk say while QEMU may have them open: the chain by the headers, and the content. It is
// what a new QEMU would find if this one were killed now, since nothing in QEMU's memory is seen.

import { readFileSync, realpathSync, rmSync } from 'node:fs'
import { runWell } from '../processes/run-program.js'
import { type ImageInfo, qemuImg } from '../qemu/qemu.js'

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

/** A layer as a JSON name of QEMU's states it, with what it states of the layer below. */
interface NamedByJson {
  readonly driver: string
  readonly file: { readonly filename: string }
  readonly backing?: NamedByJson
}

/**
 * The chain that the headers lead through from an active image, which is the first. Layer by layer: `qemu-img info
 * --backing-chain` cannot open a name by JSON that states its own backing file, which QEMU's commit writes.
 */
export async function headerChain(path: string): Promise<Layer[]> {
  const found: Layer[] = []
  let next: NamedByJson | null = { driver: 'qcow2', file: { filename: path } }
  while (next !== null) {
    const { filename } = next.file
    const info: LayerInfo = JSON.parse(await qemuImg('info', '-U', '-f', next.driver, '--output=json', filename))
    found.push({
      path: realpathSync(filename),
      format: info.format,
      size: info['virtual-size'],
      fileSize: readFileSync(filename).length,
      clusterSize: info['cluster-size'] ?? 512,
      isDirty: info['dirty-flag'] ?? false,
    })
    next = next.backing ?? layerBelow(info)
  }
  return found
}

function layerBelow(info: ImageInfo): NamedByJson | null {
  const name = info['full-backing-filename'] ?? info['backing-filename']
  if (name === undefined) {
    return null
  }
  return name.startsWith('json:')
    ? JSON.parse(name.slice('json:'.length))
    : { driver: info['backing-filename-format'] ?? 'raw', file: { filename: name } }
}

/** What a guest reads. */
export async function readDisk(path: string): Promise<Buffer> {
  const raw = `${path}.found`
  await runWell('qemu-img', ['convert', '-U', '-f', 'qcow2', '-O', 'raw', path, raw])
  const content = readFileSync(raw)
  rmSync(raw)
  return content
}
