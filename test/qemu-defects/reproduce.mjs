// SPDX-License-Identifier: Apache-2.0
//
// What every reproducer needs and nothing more: QEMU's tools, a QEMU with a QMP monitor, a folder that goes away,
// and the last line. The programs are those on PATH, or those in the folder that BLOCKPULL_QEMU_DIR names.
//
// The machine is 'none' (no CPU, no firmware): the block layer is QEMU's own, and that is all a defect here needs.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { QemuProcess, qemuProgram } from '../support/qemu/qemu-process.mjs'

const exitCodes = { present: 0, absent: 3, failed: 1 }
const deadlineMs = 60_000

/** Where everything of this reproducer lies. */
export const folder = mkdtempSync(join(tmpdir(), 'blockpull-defect-'))

process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
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
  const { status, error, stdout, stderr } = spawnSync(qemuProgram(name), args, { cwd: folder, encoding: 'utf8' })
  if (error) throw new Error(`'${qemuProgram(name)}' cannot be run: ${error.message}`)
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
  const { status, stdout, stderr } = spawnSync(qemuProgram('qemu-img'), args, { cwd: folder, encoding: 'utf8' })
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

/**
 * A running QEMU over these nodes, and the client of its monitor.
 * @param {object[]} nodes
 * @param {Pick<import('../support/qemu/qemu-process.mjs').QemuOptions, 'program' | 'machine'> & {
 *   readonly devices?: readonly string[]
 * }} [how] `devices` are further arguments
 */
export async function startQemu(nodes, { devices = [], ...how } = {}) {
  const args = [...nodes.flatMap((node) => ['--blockdev', JSON.stringify(node)]), ...devices]
  const qemu = await QemuProcess.start({ folder, args, ...how })
  return { qemu, client: await qemu.connect() }
}

/**
 * As if the machine had lost its QEMU: no clean-up, no flush.
 * @param {QemuProcess} qemu
 */
export async function killQemu(qemu) {
  say(`kill -9 ${qemu.pid}`)
  await qemu.kill()
}

/**
 * How QEMU ended instead of giving what was asked of it; null where it gave that.
 * @param {QemuProcess} qemu
 * @param {Promise<unknown>} asked
 */
export function endInsteadOf(qemu, asked) {
  return asked.then(
    () => null,
    () => qemu.ended,
  )
}
