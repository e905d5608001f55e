// SPDX-License-Identifier: Apache-2.0
//
// A folder of domains as `qemu:///embed?root=DIR` has it: images of a few MiB with data below the overlay, XML that
// states the chain, and calls that are over before they began undone by making everything anew for each test.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeChain } from '../support/images/stream-case.js'

const mebibytes = 4

/** Slow enough that a job is still there when a test looks. */
export const slowly = { bandwidth: '256KiB/s' }

export class VmFolder {
  readonly uri: string
  readonly top: string
  readonly middle: string
  readonly base: string
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    this.uri = `qemu:///embed?root=${encodeURIComponent(folder)}`
    this.top = join(folder, 'top.qcow2')
    this.middle = join(folder, 'mid.qcow2')
    this.base = join(folder, 'base.qcow2')
  }

  /** Makes top, mid and base, with data in the lower two, and the domain vm0 with the disk vda. */
  static async make(folder: string): Promise<VmFolder> {
    const size = `${mebibytes}M`
    const half = `${mebibytes / 2}M`
    await makeChain(
      folder,
      { name: 'base.qcow2', size, io: [`write -P 1 0 ${half}`] },
      { name: 'mid.qcow2', size, io: [`write -P 2 ${half} ${half}`] },
      { name: 'top.qcow2', size },
    )
    const vms = new VmFolder(folder)
    vms.write('vm0', vms.disk(vms.chain))
    return vms
  }

  /** `<backingStore>` for the whole chain, spaced so that a rewrite would show. */
  get chain(): string {
    const layer = `<format type='qcow2'/><source file='${this.middle}'/>`
    return `<backingStore  type='file'>${layer}${this.lower}</backingStore>`
  }

  /** `<backingStore>` for what lies below the middle. */
  get lower(): string {
    const layer = `<format type='qcow2'/>\n<source file='${this.base}'/>`
    return `<backingStore type='file' >${layer}<backingStore/></backingStore>`
  }

  disk(backingStore: string, target = "<target dev='vda' bus='virtio'/>"): string {
    const driver = "<driver name='qemu' type='qcow2' cache='none'/>"
    return `<disk type='file' device='disk'>${driver}<source file='${this.top}'/>${backingStore}${target}</disk>`
  }

  /** Writes DIR/NAME.xml with these disks. */
  write(name: string, disks: string): void {
    writeFileSync(this.file(`${name}.xml`), this.xml(name, disks))
  }

  xml(name: string, disks: string): string {
    const devices = `<devices>${disks}<a:b xmlns:a='u'/></devices>`
    return `<!-- ours -->\n<domain  type='kvm'>\n  <name>${name}</name>\n${devices}</domain>\n`
  }

  read(name: string): string {
    return readFileSync(this.file(`${name}.xml`), 'utf8')
  }

  file(name: string): string {
    return join(this.#folder, name)
  }
}
