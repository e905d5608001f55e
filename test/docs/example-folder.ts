// SPDX-License-Identifier: Apache-2.0
//
// The folder in which the examples of our documents run, with the files that they name:
//
//     overlay.qcow2 -> base.qcow2                          an image of its own
//     domains/vm0.xml: vda is vm0.qcow2 -> middle.qcow2 -> template.qcow2
//     node_modules/blockpull, bin/blockpull                this package, built
//
// The chains are as large as they must be for a job to be running still when an example's next line asks for it:
// at the limits that the examples set, a pull lasts a second and not milliseconds. Backing files are written once,
// since no pull changes them; the images that are pulled are made anew for each example.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { root } from './code-blocks.js'

const mebi = 2 ** 20
const virtualSize = 128 * mebi
const layerMebibytes = 48

export interface Run {
  readonly exitCode: number | null
  readonly out: string
  readonly err: string
}

export class ExampleFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'blockpull-examples-'))

  constructor() {
    for (const name of ['domains', 'node_modules', 'bin']) mkdirSync(join(this.path, name))
    symlinkSync(fileURLToPath(root), join(this.path, 'node_modules/blockpull'))
    const program = fileURLToPath(new URL('dist/cli/main.js', root))
    writeFileSync(join(this.path, 'bin/blockpull'), `#!/bin/sh\nexec node '${program}' "$@"\n`, { mode: 0o755 })
    this.#writeLayer('base.qcow2', 0)
    this.#writeLayer('template.qcow2', 0)
    this.#writeLayer('middle.qcow2', layerMebibytes, 'template.qcow2')
  }

  /** Makes the images that are pulled, and the domain, as they were. */
  renew(): void {
    rmSync(join(this.path, 'new.qcow2'), { force: true })
    this.#writeOverlay('overlay.qcow2', 'base.qcow2')
    this.#writeOverlay('vm0.qcow2', 'middle.qcow2')
    writeFileSync(join(this.path, 'domains/vm0.xml'), domainXml(join(this.path, 'vm0.qcow2')))
  }

  runScript(text: string): Run {
    const script = join(this.path, 'example.mjs')
    writeFileSync(script, text)
    return this.#run(process.execPath, [script])
  }

  runCommand(line: string): Run {
    return this.#run('/bin/sh', ['-c', line])
  }

  remove(): void {
    rmSync(this.path, { recursive: true })
  }

  #run(program: string, args: readonly string[]): Run {
    const env = { ...process.env, PATH: `${join(this.path, 'bin')}:${process.env.PATH}` }
    const ran = spawnSync(program, args, { cwd: this.path, env, encoding: 'utf8', timeout: 60_000 })
    return { exitCode: ran.status, out: ran.stdout, err: ran.stderr }
  }

  #writeOverlay(name: string, backingFile: string): void {
    writeQcow2(join(this.path, name), { size: virtualSize, backingFile, backingFormat: 'qcow2' })
  }

  /** A layer with data from `first` MiB on. */
  #writeLayer(name: string, first: number, backingFile?: string): void {
    const clusters = new Map<number, { data: Buffer }>()
    for (let index = first; index < first + layerMebibytes; index++) {
      clusters.set(index, { data: Buffer.alloc(mebi, `${name} ${index}\n`) })
    }
    const backing = backingFile === undefined ? {} : { backingFile, backingFormat: 'qcow2' }
    writeQcow2(join(this.path, name), { size: virtualSize, clusterBits: 20, clusters, ...backing })
  }
}

function domainXml(source: string): string {
  return `<domain type='kvm'>
  <name>vm0</name>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='${source}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
`
}
