// SPDX-License-Identifier: Apache-2.0
//
// The verdicts of a random schedule: whether what was told is true, and what must never happen did not. Complaints are
// sentences; none means that all is well. What is judged are the files as a new QEMU would find them now, also
// while the guest runs: so a pull that says `completed` is found out if it is not durable.
//
//     chain       the headers lead through exactly the layers that stay
//     content     each sector is what the guest wrote last, or older where it was not flushed
//     structure   no corruption; no leak either once QEMU ended well and was never killed
//     backing     every file that is or was below the active layer is as it was, byte for byte
//     QEMU        no job and no filter of ours is left
//     XML         states the chain of the headers, once a pull has completed or a reap has answered

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '../images/files.js'
import { run } from '../processes/run-program.js'
import type { RandomGuest } from './guest.js'
import { headerChain, type Layer, readDisk } from './layers.js'

/** Compares the files with what they must be; `chains` are those that the headers may lead through. */
export async function fileComplaints(guest: RandomGuest, chains: readonly (readonly Layer[])[]): Promise<string[]> {
  const complaints: string[] = []
  const { path } = guest.top
  const found = await headerChain(path)
  const names = pathsOf(found)
  if (!chains.some((chain) => pathsOf(chain) === names)) {
    complaints.push(`the headers lead through ${names}, they should through ${chains.map(pathsOf).join(' or ')}`)
  }
  const content = await readDisk(path)
  const differs = guest.model.complaint(content)
  if (differs !== null) complaints.push(differs)
  complaints.push(...(await structureComplaints(guest, found)))
  for (const [backing, digest] of guest.backing) {
    if (digestOf(backing) !== digest) complaints.push(`the backing file '${backing}' has changed`)
  }
  guest.layers = found
  if (guest.live === null && differs === null) guest.model.settle(content)
  return complaints
}

/** Nothing of ours is left in QEMU. */
export async function qemuComplaints(guest: RandomGuest): Promise<string[]> {
  const jobs = await guest.running.jobs()
  const { nodes } = await (await guest.running.client()).execute('x-debug-query-block-graph')
  const names: string[] = nodes.map(({ name }: { name: string }) => name)
  return [
    ...jobs.map(({ id, status }) => `QEMU still has the job '${id}', which is ${status}`),
    ...names.filter((name) => name.startsWith('blockpull-')).map((name) => `QEMU still has the filter '${name}'`),
  ]
}

/** The XML says what the headers say. */
export function xmlComplaints(guest: RandomGuest): string[] {
  if (!guest.hasXml) return []
  const xml = readFileSync(join(guest.folder, 'vm0.xml'), 'utf8')
  const stated = [...xml.matchAll(/<source file='([^']*)'/g)].map(([, path]) => path).join(' ')
  const due = pathsOf(guest.layers)
  return stated === due ? [] : [`the XML states ${stated}, the headers lead through ${due}`]
}

export function pathsOf(layers: readonly Layer[]): string {
  return layers.map(({ path }) => path).join(' ')
}

/** A dirty image is judged once the next QEMU has mended it. */
async function structureComplaints(guest: RandomGuest, [top]: readonly Layer[]): Promise<string[]> {
  if (top === undefined || top.isDirty) return []
  const { code, stdout, stderr } = await run('qemu-img', ['check', '-U', '-f', 'qcow2', top.path])
  const mayLeak = guest.mayLeak || guest.live !== null
  return code === 0 || (mayLeak && code === 3) ? [] : [`qemu-img check ended with ${code}: ${stdout}${stderr}`]
}
