// SPDX-License-Identifier: Apache-2.0
//
// An image that people name by a link, as stores do it that hand out links: every name in a header is right from the
// link's folder and from where the image lies, each by way of a link of its own.
//
//     base
//     vm/base ──▶ base      vm/0 ──▶ vm/snap/0      vm/disk ──▶ vm/snap/1
//     vm/snap/0   over '../base'                    vm/snap/1   over '0'

import { mkdirSync, symlinkSync } from 'node:fs'
import { writeQcow2 } from './qcow2-builder.mjs'
import { makeChain } from './stream-case.js'

/** Makes it in the folder, 4 MiB large, of which the base has the first; gives the image's own path. */
export async function makeLinkedImage(folder: string): Promise<string> {
  mkdirSync(`${folder}/vm/snap`, { recursive: true })
  await makeChain(folder, { name: 'base', size: '4M', io: ['write -P 9 0 1M'] })
  symlinkSync('../base', `${folder}/vm/base`)
  symlinkSync('snap/0', `${folder}/vm/0`)
  symlinkSync('snap/1', `${folder}/vm/disk`)
  for (const [name, backingFile] of ['../base', '0'].entries()) {
    writeQcow2(`${folder}/vm/snap/${name}`, { size: 4194304, backingFormat: 'qcow2', backingFile })
  }
  return `${folder}/vm/snap/1`
}
