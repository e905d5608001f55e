// SPDX-License-Identifier: Apache-2.0
//
// A guest with a random disk for a random schedule: its QEMU comes and goes, it writes and takes snapshots, and what
// the disk must contain is written down beside it. The chain is what the headers say; after each event that may
// change it, `random-live/verdict.ts` compares the two.
//
// What a guest writes goes through HMP's qemu-io, which tells nothing of an error. So where a backing layer may fail,
// only whole clusters of the active image are written, which reads nothing from below.

import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectDescription, Disk } from '../../../lib/index.js'
import { digestOf } from '../images/files.js'
import { makeRandomChain, type RandomChain } from '../images/random-chain.js'
import { isChainDamaged } from '../images/random-pull.js'
import { blockdevArgs, LiveDisk } from '../qemu/live-disk.js'
import { qemuImg, qemuIo } from '../qemu/qemu.js'
import type { Random } from '../random.js'
import type { TempFolder } from '../temp-folder.js'
import { headerChain, type Layer, readDisk } from './layers.js'
import { DiskModel } from './model.js'

const device = '/machine/peripheral/virtio-disk0/virtio-backend'

export class RandomGuest {
  /** What happened, in order. */
  readonly log: string[] = []
  /** The chain that the headers must lead through, the active layer first. */
  layers: readonly Layer[]
  /** Digests of all that is or was a backing file; none may ever change. */
  readonly backing = new Map<string, string>()
  readonly model: DiskModel
  live: LiveDisk | null = null
  /** Whether QEMU was killed, and may have left clusters that nobody uses. */
  mayLeak = false
  /** Whether one read of a backing layer fails, in the QEMU that runs. */
  mayFail = false
  #snapshots = 0

  private constructor(
    readonly random: Random,
    readonly chain: RandomChain,
    readonly hasXml: boolean,
    layers: readonly Layer[],
    content: Buffer,
  ) {
    this.layers = layers
    this.model = new DiskModel(content)
    for (const { path } of layers.slice(1)) this.backing.set(path, digestOf(path))
  }

  /** Makes the chain, with the most of it filled, since a pull of nothing is over at once. */
  static async make(random: Random, temp: TempFolder): Promise<RandomGuest> {
    const bounds = { depths: [1, 2, 2, 3, 4], leastSize: 1024 } as const
    for (;;) {
      const chain = await makeRandomChain(random, temp.folder('guest'), bounds)
      const filled = chain.layers[random.between(1, chain.layers.length - 1)]
      const { path = '', format = '', size = 0 } = filled ?? {}
      if (random.chance(0.8)) await qemuIo(path, format, `write -P ${random.between(1, 255)} 0 ${size}`).catch(() => '')
      if (!(await isChainDamaged(chain))) {
        const top = chain.layers[0]?.path ?? ''
        const layers = await headerChain(top)
        const guest = new RandomGuest(random, chain, random.chance(0.4), layers, await readDisk(top))
        if (guest.hasXml) symlinkSync('proxy', join(chain.folder, 'vm0.qmp'))
        guest.writeXml()
        return guest
      }
      temp.discard(chain.folder)
    }
  }

  get folder(): string {
    return this.chain.folder
  }

  get top(): Layer {
    return this.layers[0] as Layer
  }

  get disks(): Disk[] {
    return [{ target: 'vda', source: this.top.path, format: 'qcow2' }]
  }

  /** What to connect to for the guest, whether it runs or not. */
  get target(): string | ConnectDescription {
    if (this.hasXml) return `qemu:///embed?root=${encodeURIComponent(this.folder)}`
    return { domains: [{ name: 'vm0', qmp: join(this.folder, 'proxy'), disks: this.disks }] }
  }

  /** The guest that runs. */
  get running(): LiveDisk {
    if (this.live === null) throw new Error('the guest is shut off')
    return this.live
  }

  note(words: string): void {
    this.log.push(words)
  }

  /** QEMU starts, with the chain as the headers say. */
  async start(): Promise<void> {
    const at = this.random.chance(0.25) ? this.random.between(1, 4) : 0
    const layer = this.layers[at]
    this.mayFail = at > 0 && layer !== undefined
    const chain = { folder: this.folder, layers: this.layers, top: this.top.path }
    const options = { proxy: true, disks: this.disks }
    if (this.mayFail) {
      const sector = this.random.below(Math.ceil((layer?.fileSize ?? 0) / 512))
      this.note(`QEMU starts; the read of sector ${sector} of '${layer?.path}' fails once`)
      const diskArgs = blockdevArgs(chain).map((arg) => failing(arg, layer?.path ?? '', sector))
      // A header that cannot be read keeps QEMU from starting.
      this.live = await LiveDisk.start(chain, { ...options, diskArgs }).catch(() => null)
      this.mayFail = this.live !== null
    }
    if (this.live !== null) return
    this.note('QEMU starts')
    this.live = await LiveDisk.start(chain, options)
  }

  /** QEMU is killed; the caller sees to what is left. */
  async kill(): Promise<void> {
    this.note('QEMU is killed')
    const { qemu, proxy } = this.running
    await qemu.kill()
    proxy?.close()
    this.live = null
    this.mayLeak = true
  }

  async shutOff(): Promise<void> {
    this.note('the guest shuts off')
    const { proxy } = this.running
    await this.running.shutOff()
    proxy?.close()
    this.live = null
    this.model.flushedUpTo()
  }

  /** The guest writes somewhere; how well is not told. */
  async write(): Promise<void> {
    const { random, model } = this
    const unit = this.mayFail ? this.top.clusterSize : random.pick([512, 512, 4096, this.top.clusterSize])
    const units = Math.floor(model.size / unit)
    if (units === 0) return
    const offset = unit * random.below(units)
    const length = unit * random.scaled(1, Math.min(units - offset / unit, Math.ceil((1 << 18) / unit)))
    const byte = random.chance(0.2) ? 0 : random.between(1, 255)
    const how = byte > 0 ? `-P ${byte}` : random.pick(['-P 0', '-z', '-z -u'])
    this.note(`the guest writes: ${how} ${offset} ${length}`)
    model.write(offset, length, byte)
    await this.#qemuIo(`write ${how} ${offset} ${length}`)
  }

  async flush(): Promise<void> {
    this.note('the guest flushes')
    const { mark } = this.model
    await this.#qemuIo('flush')
    this.model.flushedUpTo(mark)
  }

  /** An external snapshot, and the XML as libvirt would have it then. */
  async snapshot(): Promise<void> {
    await this.flush()
    const path = join(this.folder, `snapshot${this.#snapshots++}`)
    this.note(`snapshot '${path}'`)
    const name = path.slice(this.folder.length + 1)
    const { path: below, size } = this.top
    // Made here as libvirt does, since QEMU would name the layer below by all that it was told of it.
    await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', below, '-F', 'qcow2', path, String(size))
    await (await this.running.client()).execute('blockdev-snapshot-sync', {
      'node-name': below.slice(below.lastIndexOf('/') + 1),
      'snapshot-file': path,
      'snapshot-node-name': name,
      format: 'qcow2',
      mode: 'existing',
    })
    this.backing.set(below, digestOf(below))
    this.layers = await headerChain(path)
    this.writeXml()
  }

  writeXml(): void {
    if (!this.hasXml) return
    const store = this.layers.slice(1).reduceRight((below, { path, format }) => {
      const layer = `<format type='${format}'/><source file='${path}'/>`
      return `<backingStore type='file'>${layer}${below}</backingStore>`
    }, '<backingStore/>')
    const source = `<driver name='qemu' type='qcow2'/><source file='${this.top.path}'/>`
    const disk = `<disk type='file' device='disk'>${source}${store}<target dev='vda' bus='virtio'/></disk>`
    const xml = `<domain type='kvm'><name>vm0</name><devices>${disk}</devices></domain>\n`
    writeFileSync(join(this.folder, 'vm0.xml'), xml)
  }

  async #qemuIo(command: string): Promise<void> {
    const client = await this.running.client()
    await client.execute('human-monitor-command', { 'command-line': `qemu-io -d ${device} "${command}"` })
  }
}

/** The same argument of QEMU, with a blkdebug above the file of that layer. */
function failing(arg: string, path: string, sector: number): string {
  if (!arg.includes(`"filename":"${path}"`)) return arg
  const node = JSON.parse(arg)
  const rule = { event: 'read_aio', errno: 5, sector, once: true }
  return JSON.stringify({ ...node, file: { driver: 'blkdebug', image: node.file, 'inject-error': [rule] } })
}
