// SPDX-License-Identifier: Apache-2.0
//
// The folder in which the examples of our documents run, with the files that they name:
//
//     overlay.qcow2 -> base.qcow2                          an image of its own
//     domains/vm0.xml: vda is vm0.qcow2 -> middle.qcow2 -> template.qcow2, shut off
//     domains/vm1.xml, vm1.qmp: vda is vm1.qcow2 -> base.qcow2, under a real QEMU; only for examples that name vm1
//     domains/vm2.xml, vm2.qmp: the same for vm2, with a job at 1 MiB/s whose process was killed
//     node_modules/blockpull, bin/blockpull                this package, built
//
// The chains are as large as they must be for a job to be running still when an example's next line asks for it:
// at the limits that the examples set, a pull lasts a second and not milliseconds. Backing files are written once,
// since no pull changes them; the images that are pulled are written again for each example. The folder is called
// `/srv/images` in what the documents say that commands print.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeQcow2 } from '../support/images/qcow2-builder.mjs'
import { QemuProcess } from '../support/qemu/qemu-process.mjs'
import { type Exchange, root } from './code-blocks.js'

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
  readonly #guests = new Map<string, QemuProcess>()

  constructor() {
    for (const name of ['domains', 'node_modules', 'bin']) mkdirSync(join(this.path, name))
    symlinkSync(fileURLToPath(root), join(this.path, 'node_modules/blockpull'))
    const program = fileURLToPath(new URL('dist/cli/main.js', root))
    writeFileSync(join(this.path, 'bin/blockpull'), `#!/bin/sh\nexec node '${program}' "$@"\n`, { mode: 0o755 })
    this.#writeLayer('base.qcow2', 0)
    this.#writeLayer('template.qcow2', 0)
    this.#writeLayer('middle.qcow2', layerMebibytes, 'template.qcow2')
  }

  /** Makes the images that are pulled, and the domains, as they were; starts the guests that `text` names. */
  async renew(text: string): Promise<void> {
    await this.#endGuests()
    rmSync(join(this.path, 'new.qcow2'), { force: true })
    this.#writeOverlay('overlay.qcow2', 'base.qcow2')
    this.#writeOverlay('vm0.qcow2', 'middle.qcow2')
    this.#defineDomain('vm0')
    for (const name of ['vm1', 'vm2']) if (text.includes(name)) await this.#startGuest(name)
    if (text.includes('vm2')) this.#leaveJob('vm2')
  }

  runScript(text: string): Run {
    const script = join(this.path, 'example.mjs')
    writeFileSync(script, text)
    return this.#run(process.execPath, [script])
  }

  runCommand(line: string): Run {
    return this.#run('/bin/sh', ['-c', line])
  }

  /** Runs the commands of a transcript in one shell; gives what each printed, line by line. */
  runTranscript(exchanges: readonly Exchange[]): readonly (readonly string[])[] {
    const end = '=== end of a command ==='
    // The exit code stays for a next command that asks for it.
    const lines = exchanges.map(({ line }) => `${line}\n{ code=$?; echo '${end}'; (exit $code); }\n`)
    const { out } = this.#run('/bin/sh', ['-c', `exec 2>&1\n${lines.join('')}`])
    const printed = out.replaceAll(this.path, '/srv/images').split(`${end}\n`)
    return exchanges.map((_, at) => (printed[at] ?? '').split('\n').slice(0, -1))
  }

  async remove(): Promise<void> {
    await this.#endGuests()
    rmSync(this.path, { recursive: true })
  }

  async #startGuest(name: string): Promise<void> {
    this.#writeOverlay(`${name}.qcow2`, 'base.qcow2')
    this.#defineDomain(name)
    const drive = ['-drive', `if=none,id=vda,file=${name}.qcow2,format=qcow2`, '-device', 'virtio-blk-pci,drive=vda']
    const monitor = ['-qmp', `unix:domains/${name}.qmp,server=on,wait=off`]
    const folder = join(this.path, name)
    mkdirSync(folder, { recursive: true })
    const qemu = new QemuProcess({ folder, cwd: this.path, machine: 'q35', args: [...drive, ...monitor] })
    this.#guests.set(name, qemu)
    await qemu.untilItGreets()
  }

  /** Starts a pull in a process that is killed once QEMU has the job. */
  #leaveJob(name: string): void {
    const { err } = this.runScript(`
      import { connect } from 'blockpull'
      const connection = await connect({ domains: [{ name: 'vm', qmp: 'domains/${name}.qmp', disks: [] }] })
      const domain = await connection.lookupByName('vm')
      await domain.blockPull('vda', { bandwidth: '1MiB/s' })
      process.kill(process.pid, 'SIGKILL')
    `)
    if (err !== '') throw new Error(`the job of '${name}' could not be begun: ${err}`)
  }

  async #endGuests(): Promise<void> {
    for (const [name, qemu] of this.#guests) {
      await qemu.kill()
      for (const kind of ['xml', 'qmp']) rmSync(join(this.path, `domains/${name}.${kind}`), { force: true })
    }
    this.#guests.clear()
  }

  #defineDomain(name: string): void {
    writeFileSync(join(this.path, `domains/${name}.xml`), domainXml(name, join(this.path, `${name}.qcow2`)))
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

function domainXml(name: string, source: string): string {
  return `<domain type='kvm'>
  <name>${name}</name>
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
