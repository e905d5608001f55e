// SPDX-License-Identifier: Apache-2.0
//
// The disk of a guest that a real QEMU has open, ready to be pulled through the public API, and judged afterwards.
//
//     blockpull ──▶ [proxy] ──▶ monitor 0 ┐
//                                         QEMU ── node 'top' ──▶ 'layer1' ──▶ 'layer0'
//     the test's own client ──▶ monitor 1 ┘
//
// The guest's processors never run; its disk is there all the same, opened as libvirt does it ('blockdev': every
// node has a name, none has a device's) or as people do by hand ('drive': only the device has a name).
// The judge is qemu-img over the files, once QEMU is gone: content against a copy made before QEMU came.

import { basename, normalize } from 'node:path'
import { onTestFinished } from 'vitest'
import {
  type BlockPullOptions,
  type ConnectDescription,
  type Connection,
  type ConnectOptions,
  connect,
  type Disk,
  type Domain,
} from '../../../lib/index.js'
import type { CaseChain } from '../images/stream-case.js'
import { check, difference, flatten, info } from './qemu.js'
import type { QemuProcess } from './qemu-process.mjs'
import type { QmpClient } from './qmp-client.mjs'
import { QmpProxy } from './qmp-proxy.js'
import { startQemu } from './start-qemu.js'

export type DiskStyle = 'blockdev' | 'drive'

export interface LiveDiskOptions {
  readonly style?: DiskStyle
  /** A proxy before our monitor. Default: false. */
  readonly proxy?: boolean
  /** Further arguments for QEMU. */
  readonly args?: readonly string[]
  /** In place of the arguments that `style` makes of the chain. */
  readonly diskArgs?: readonly string[]
  /** QEMU's working directory. Default: the chain's folder. */
  readonly cwd?: string
  /** Which disks we are told of. Default: vda; none is a domain without XML. */
  readonly disks?: readonly Disk[]
}

export class LiveDisk {
  readonly chain: CaseChain
  readonly qemu: QemuProcess
  readonly proxy: QmpProxy | undefined
  readonly disks: readonly Disk[]
  readonly #flat: string
  #client: Promise<QmpClient> | undefined

  private constructor(parts: Pick<LiveDisk, 'chain' | 'qemu' | 'proxy' | 'disks'>, flat: string) {
    this.chain = parts.chain
    this.qemu = parts.qemu
    this.proxy = parts.proxy
    this.disks = parts.disks
    this.#flat = flat
  }

  /** Copies what a guest reads from the chain, and starts QEMU over it. */
  static async start(chain: CaseChain, options: LiveDiskOptions = {}): Promise<LiveDisk> {
    const { style = 'blockdev', args = [] } = options
    const { folder } = chain
    const flat = `${folder}/before.raw`
    await flatten(chain.top, flat)
    const { cwd = folder } = options
    const diskArgs = options.diskArgs ?? (style === 'drive' ? driveArgs(chain) : blockdevArgs(chain))
    const qemu = await startQemu({ folder, cwd, machine: 'q35', monitors: 3, args: [...diskArgs, ...args] })
    const proxy = options.proxy ? await QmpProxy.start(`${folder}/proxy`, qemu.socket) : undefined
    const disks = options.disks ?? [{ target: 'vda', source: chain.top, format: 'qcow2' }]
    return new LiveDisk({ chain, qemu, proxy, disks }, flat)
  }

  /** Where blockpull finds the guest's monitor. */
  get monitor(): string {
    return this.proxy?.path ?? this.qemu.socket
  }

  /** What to connect to for this guest as 'vm0'. */
  get target(): ConnectDescription {
    return { domains: [{ name: 'vm0', qmp: this.monitor, disks: this.disks }] }
  }

  /** The test's own way to QEMU. */
  client(): Promise<QmpClient> {
    this.#client ??= this.qemu.connect(1)
    return this.#client
  }

  /** A connection that knows of this guest as 'vm0'; closed with the test. */
  async connect(options: ConnectOptions = {}): Promise<Connection> {
    const connection = await connect({ ...this.target, ...options })
    onTestFinished(() => connection.close())
    return connection
  }

  /** The guest, in a connection of its own. */
  async domain(): Promise<Domain> {
    return await (await this.connect()).lookupByName('vm0')
  }

  /** Pulls to the end. */
  async pull(options: BlockPullOptions = {}, disk = 'vda') {
    const job = await (await this.domain()).blockPull(disk, options)
    return await job.done
  }

  /** The jobs that QEMU has, by id and status. */
  async jobs(): Promise<{ readonly id: string; readonly status: string }[]> {
    const jobs: { id: string; status: string }[] = await (await this.client()).execute('query-jobs')
    return jobs.map(({ id, status }) => ({ id, status }))
  }

  /** Ends QEMU as the end of a guest does. */
  async shutOff(): Promise<void> {
    await this.qemu.quit(await this.client())
  }

  /** What is wrong with the files, QEMU being gone; `base` names the file that the header must lead to. */
  async complaints(base: string | null, mayLeak = false): Promise<string[]> {
    const complaints: string[] = []
    const checked = await check(this.chain.top)
    if (checked.code !== 0 && !(mayLeak && checked.code === 3)) complaints.push(checked.report)
    const differs = await difference(this.#flat, this.chain.top)
    if (differs !== null) complaints.push(differs)
    const stated = (await info(this.chain.top))['full-backing-filename']
    const found = stated === undefined ? undefined : normalize(stated)
    if (found !== (base ?? undefined)) complaints.push(`the header leads to '${found}', it should to '${base}'`)
    return complaints
  }
}

/** As libvirt starts a guest: nodes with names, from the bottom up, and no name for the drive. */
export function blockdevArgs(chain: CaseChain, id = 'virtio-disk0'): string[] {
  const names = nodeNames(chain)
  const nodes = chain.layers.map(({ path, format }, at) => ({
    'node-name': names[at],
    driver: format,
    file: { driver: 'file', filename: path },
    ...(format === 'raw' ? {} : { backing: names[at + 1] ?? null }),
    'read-only': at > 0,
  }))
  const lowestFirst = nodes.toReversed().flatMap((node) => ['-blockdev', JSON.stringify(node)])
  return [...lowestFirst, '-device', `virtio-blk-pci,drive=${names[0]},id=${id}`]
}

/** As people start a guest by hand. */
export function driveArgs(chain: CaseChain, id = 'drive0'): string[] {
  const drive = `if=none,id=${id},file=${chain.top},format=qcow2`
  return ['-drive', drive, '-device', `virtio-blk-pci,drive=${id},id=virtio-${id}`]
}

/** The names of the nodes in 'blockdev' style, top first: those of the files without their ending. */
export function nodeNames(chain: CaseChain): string[] {
  return chain.layers.map(({ path }) => basename(path).replace(/\..*$/, ''))
}
