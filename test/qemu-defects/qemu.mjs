// SPDX-License-Identifier: Apache-2.0
//
// What every reproducer needs and nothing more: QEMU's tools, a QEMU with a QMP monitor, a folder that goes away,
// and the last line. The programs are those on PATH, or those in the folder that QEMU_BIN_DIR names.
//
// The monitor is a socket that QEMU inherits as file descriptor 3, so there is no path and nothing to wait for.
// The machine is 'none' (no CPU, no firmware): the block layer is QEMU's own, and that is all a defect here needs.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const exitCodes = { present: 0, absent: 3, failed: 1 }
const deadlineMs = 60_000

/** Where everything of this reproducer lies. */
export const folder = mkdtempSync(join(tmpdir(), 'blockpull-defect-'))

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(exitCodes.failed))

/** @param {string} text */
export function say(text) {
  console.log(`  ${text}`)
}

/**
 * Runs the steps, which give whether the defect was seen, and ends the process with the verdict.
 * @param {string} title
 * @param {() => Promise<boolean>} steps
 */
export async function reproduce(title, steps) {
  console.log(`QEMU ${version()}: ${title}`)
  setTimeout(() => fail(`not done after ${deadlineMs / 1000} seconds`), deadlineMs).unref()
  try {
    const isPresent = await steps()
    console.log(isPresent ? 'defect present' : 'defect absent')
    process.exit(isPresent ? exitCodes.present : exitCodes.absent)
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error))
  }
}

/** @param {string} why */
function fail(why) {
  console.log(`cannot tell: ${why}`)
  process.exit(exitCodes.failed)
}

/** @param {string} name */
function program(name) {
  return process.env['QEMU_BIN_DIR'] ? join(process.env['QEMU_BIN_DIR'], name) : name
}

/** The version of the QEMU at hand, such as '7.2.22'. */
export function version() {
  return /version (\d+\.\d+\.\d+)/.exec(tool('qemu-img', '--version'))?.[1] ?? 'unknown'
}

/**
 * Runs one of QEMU's tools in the folder; it must succeed. Gives what it printed.
 * @param {string} name
 * @param {string[]} args
 */
export function tool(name, ...args) {
  const { status, error, stdout, stderr } = spawnSync(program(name), args, { cwd: folder, encoding: 'utf8' })
  if (error) throw new Error(`'${program(name)}' cannot be run: ${error.message}`)
  if (status !== 0) throw new Error(`'${name} ${args.join(' ')}' ended with ${status}: ${stdout}${stderr}`)
  return stdout
}

/**
 * A qcow2 image; a backing file is one too.
 * @param {string} name
 * @param {string} size
 * @param {{ backing?: string, options?: string, writes?: string[] }} [more] writes: commands of qemu-io
 */
export function createImage(name, size, { backing, options, writes = [] } = {}) {
  const below = backing ? ['-b', backing, '-F', 'qcow2'] : []
  tool('qemu-img', 'create', '-q', '-f', 'qcow2', ...(options ? ['-o', options] : []), ...below, name, size)
  if (writes.length > 0) tool('qemu-io', '-f', 'qcow2', ...writes.flatMap((write) => ['-c', write]), name)
}

/**
 * Keeps what a guest reads from the image now, in a raw file.
 * @param {string} image
 * @param {string} raw
 */
export function flatten(image, raw) {
  tool('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', image, raw)
}

/**
 * Says whether a guest reads from the image what the raw file has.
 * @param {string} raw
 * @param {string} image
 */
export function readsAs(raw, image, format = 'qcow2') {
  const args = ['compare', '-f', 'raw', '-F', format, raw, image]
  const { status, stdout, stderr } = spawnSync(program('qemu-img'), args, { cwd: folder, encoding: 'utf8' })
  const [line] = (stdout + stderr).trim().split('\n')
  if (status !== 0 && status !== 1) throw new Error(`qemu-img compare ${raw} ${image} ended with ${status}: ${line}`)
  say(`qemu-img compare ${raw} ${image}: ${line}`)
  return status === 0
}

/**
 * The name of the backing file as the header has it, or 'none'.
 * @param {string} image
 * @returns {string}
 */
export function backingName(image) {
  return JSON.parse(tool('qemu-img', 'info', '--output=json', '-f', 'qcow2', image))['backing-filename'] ?? 'none'
}

/**
 * A qcow2 node for -blockdev; without a node below it, QEMU opens the backing files that the headers name.
 * @param {string} name of the node, and of the file without '.qcow2'
 * @param {object | string} [below] a node, or the name of one
 */
export function qcow2Node(name, below) {
  const file = { driver: 'file', filename: `${name}.qcow2` }
  return { driver: 'qcow2', 'node-name': name, file, ...(below && { backing: below }) }
}

/** A running QEMU, or a qemu-storage-daemon, and its monitor. */
export class Qemu {
  /** Everything that the monitor said, in order. @type {any[]} */
  messages = []
  #child
  #monitor
  #rest = ''
  #nextId = 1
  /** @type {Set<() => void>} */
  #waiting = new Set()

  /**
   * @param {object[]} nodes
   * @param {{ daemon?: boolean, cwd?: string }} [options]
   */
  constructor(nodes, { daemon = false, cwd = folder } = {}) {
    const machine = ['-machine', 'none', '-nodefaults', '-display', 'none', '-mon', 'chardev=qmp,mode=control']
    const args = daemon ? ['--monitor', 'chardev=qmp'] : machine
    for (const node of nodes) args.push('--blockdev', JSON.stringify(node))
    this.#child = spawn(
      program(daemon ? 'qemu-storage-daemon' : 'qemu-system-x86_64'),
      ['--chardev', 'socket,id=qmp,fd=3', ...args],
      { cwd, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
    )
    running.add(this.#child)
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      running.delete(this.#child)
      this.end = { code, signal, stderr: this.#stderr.trim() }
      this.#wake()
    })
    this.#child.stderr?.on('data', (text) => {
      this.#stderr += text
    })
    this.#monitor = /** @type {import('node:net').Socket} */ (this.#child.stdio[3])
    this.#monitor.on('data', (text) => this.#receive(String(text))).on('error', () => {})
  }

  #stderr = ''
  /** How it ended; undefined while it runs. @type {undefined | { code: number, signal: string, stderr: string }} */
  end

  /** @param {string} text */
  #receive(text) {
    const lines = (this.#rest + text).split('\r\n')
    this.#rest = lines.pop() ?? ''
    this.messages.push(...lines.map((line) => JSON.parse(line)))
    this.#wake()
  }

  #wake() {
    for (const look of this.#waiting) look()
  }

  /**
   * Waits for the first message of which the test is true.
   * @param {string} what
   * @param {(message: any) => unknown} test
   * @returns {Promise<any>}
   */
  waitFor(what, test) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.messages.find(test)
        if (!found && !this.end) return
        this.#waiting.delete(look)
        if (found) resolve(found)
        else reject(new Error(`QEMU ended (${JSON.stringify(this.end)}) before ${what}`))
      }
      this.#waiting.add(look)
      look()
    })
  }

  /**
   * @param {string} name
   * @param {string} [job]
   */
  event(name, job) {
    return this.waitFor(
      name,
      ({ event, data }) => event === name && (job === undefined || data.device === job || data.id === job),
    )
  }

  /** @param {string} text */
  send(text) {
    this.#monitor.write(text)
  }

  /**
   * Sends a command without waiting; gives its id.
   * @param {string} name
   * @param {object} [args]
   */
  start(name, args = {}) {
    const id = this.#nextId++
    this.send(JSON.stringify({ execute: name, arguments: args, id }))
    return id
  }

  /**
   * Sends a command and gives its whole reply, which may be an error.
   * @param {string} name
   * @param {object} [args]
   */
  async ask(name, args) {
    const id = this.start(name, args)
    return this.waitFor(`the reply to ${name}`, (message) => message.id === id)
  }

  /**
   * Sends a command that must succeed; gives what it returned.
   * @param {string} name
   * @param {object} [args]
   */
  async command(name, args) {
    const { error, return: value } = await this.ask(name, args)
    if (error) throw new Error(`${name} was refused: ${error.desc}`)
    return value
  }

  /** As if the machine had lost its QEMU: no clean-up, no flush. */
  async kill() {
    say(`kill -9 ${this.#child.pid}`)
    this.#child.kill('SIGKILL')
    await this.ended
  }

  /** An orderly end, at which QEMU flushes and closes everything. */
  async quit() {
    await this.command('quit')
    await this.ended
  }
}

/**
 * Starts a QEMU and greets it.
 * @param {object[]} nodes
 * @param {{ daemon?: boolean, cwd?: string }} [options]
 */
export async function startQemu(nodes, options) {
  const qemu = new Qemu(nodes, options)
  await qemu.waitFor('its greeting', (message) => message.QMP)
  await qemu.command('qmp_capabilities')
  return qemu
}
