// SPDX-License-Identifier: Apache-2.0
//
// QEMU's tools as judges and as makers of images. Formats are always stated, never probed. What is parsed is
// their JSON output, whose keys have been stable since QEMU 2.x; everything else is judged by exit codes. They are
// those on PATH, whichever QEMU runs the guest (qemu-process.mjs).

import { run, runWell } from '../processes/run-program.js'

/** One entry of `qemu-img map`: who has a run of guest bytes. */
export interface MapEntry {
  readonly start: number
  readonly length: number
  /** 0 is the image itself, 1 its backing file, and so on. */
  readonly depth: number
  readonly zero: boolean
  readonly data: boolean
}

export interface ImageInfo {
  readonly format: string
  readonly 'virtual-size': number
  readonly 'cluster-size'?: number
  readonly 'backing-filename'?: string
  readonly 'full-backing-filename'?: string
  readonly 'backing-filename-format'?: string
  readonly 'format-specific'?: { readonly data: Readonly<Record<string, unknown>> }
}

/** `qemu-img` with these arguments, which must succeed. */
export function qemuImg(...args: readonly string[]): Promise<string> {
  return runWell('qemu-img', args)
}

/** Runs `qemu-io` commands over an image in one go; they must succeed. */
export async function qemuIo(path: string, format: string, ...commands: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await tryQemuIo(path, format, ...commands)
  if (code !== 0 || /Pattern verification failed/.test(stdout)) {
    throw new Error(`qemu-io on '${path}' ended with ${code}: ${commands.join('; ')}: ${stdout}${stderr}`)
  }
  return stdout
}

/** The same where some of the commands may not be possible on the image. */
export function tryQemuIo(path: string, format: string, ...commands: readonly string[]) {
  return run('qemu-io', ['-d', 'unmap', '-f', format, ...commands.flatMap((command) => ['-c', command]), path])
}

/** What a guest reads from the image, into a raw file. */
export async function flatten(path: string, raw: string, format = 'qcow2'): Promise<void> {
  await qemuImg('convert', '-f', format, '-O', 'raw', path, raw)
}

/** Says why the two differ, or null where a guest reads the same from both. */
export async function difference(raw: string, path: string, format = 'qcow2'): Promise<string | null> {
  const { code, stdout, stderr } = await run('qemu-img', ['compare', '-f', 'raw', '-F', format, raw, path])
  return code === 0 ? null : `qemu-img compare ended with ${code}: ${stdout}${stderr}`
}

/** Exit code of `qemu-img check`: 0 clean, 2 corruption, 3 leaks only. */
export async function check(path: string): Promise<{ readonly code: number; readonly report: string }> {
  const { code, stdout, stderr } = await run('qemu-img', ['check', '-f', 'qcow2', path])
  return { code, report: `qemu-img check ended with ${code}: ${stdout}${stderr}` }
}

/** How many compressed clusters the image refers to. */
export async function compressedClusters(path: string): Promise<number> {
  const { stdout } = await run('qemu-img', ['check', '--output=json', '-f', 'qcow2', path])
  return (JSON.parse(stdout) as { 'compressed-clusters'?: number })['compressed-clusters'] ?? 0
}

/**
 * QEMU 7.2 now and then damages an image of its own: compressed clusters that are overwritten and written again
 * come to lie in a data cluster. It marks such an image as corrupt once it notices, and then writes to it no more.
 */
export async function isDamaged(path: string): Promise<boolean> {
  const { code } = await check(path)
  return code === 2 || (await info(path))['format-specific']?.data['corrupt'] === true
}

/** Waits until nobody has the image locked: writes that are under way when a process is killed still end. */
export async function untilUnlocked(path: string): Promise<void> {
  const until = performance.now() + 60_000
  while ((await run('qemu-img', ['info', path])).code !== 0) {
    if (performance.now() > until) throw new Error(`'${path}' is still locked after a minute`)
  }
}

export async function map(path: string, format = 'qcow2'): Promise<MapEntry[]> {
  return JSON.parse(await qemuImg('map', '--output=json', '-f', format, path)) as MapEntry[]
}

export async function info(path: string, format = 'qcow2'): Promise<ImageInfo> {
  return JSON.parse(await qemuImg('info', '--output=json', '-f', format, path)) as ImageInfo
}
