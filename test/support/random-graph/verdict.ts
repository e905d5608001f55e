// SPDX-License-Identifier: Apache-2.0
//
// The verdicts of a random round over QEMU. Complaints are sentences; none means that all is well.
//
//     told        completed; or refused with a reason that is true; or failed, where images were taken from the job
//     released    the layers that dropped out and that no other disk stands on, neither more nor fewer
//     chain       the headers lead through exactly the layers that stay
//     content     each sector is what the guest wrote last, or older where it was not flushed
//     backing     every backing file is as it was, byte for byte, but for one that a commit of the round writes
//     refused     the active image as well, unless something else was to write to it
//     QEMU        did not die, and has no job and no filter of ours left

import { readFileSync } from 'node:fs'
import { digestOf } from '../images/files.js'
import { run } from '../processes/run-program.js'
import { headerChain, readDisk } from '../random-live/layers.js'
import type { Told } from './pull.js'
import { type GraphStage, plainPath } from './stage.js'

/** Judges what a pull said of its end, and notes which chains the headers may lead through from now on. */
export function toldComplaints(stage: GraphStage, told: Told): string[] {
  stage.told.push(told)
  const { how, code, message } = told
  if (how === 'completed') return completedComplaints(stage, told)
  if (how === 'refused') {
    const words = `${code} ${message}`
    const isTrue = [...stage.reasons.values()].some((reason) => reason.test(words))
    const known = [...stage.reasons.keys()].join(', ') || 'there is none'
    return isTrue ? [] : [`refused without a true reason (${known}): ${words}`]
  }
  if (!stage.mayFail) return [`the pull ended as ${how}: ${code}: ${message}`]
  if (how === 'unknown') stage.chains = [...stage.chains, pulledChain(stage)]
  return []
}

function completedComplaints(stage: GraphStage, { released, verified, warnings }: Told): string[] {
  const complaints: string[] = []
  if (stage.recipe.isSnapshot) complaints.push('a disk in snapshot mode was pulled')
  const pulled = pulledChain(stage)
  if (stage.chains.length === 1) {
    const due = dueReleased(stage)
    const given = released.map(plainPath).sort().join(' ')
    const isUntold = released.length === 0 && (verified === false || warnings.length > 0)
    if (given !== due && !isUntold) complaints.push(`released is '${given}', it should be '${due}'`)
  }
  stage.chains = [pulled]
  return [...complaints, ...xmlComplaints(stage)]
}

/** The chain after the pull of the recipe. */
function pulledChain({ paths, recipe }: GraphStage): string[] {
  const { base } = recipe.ask
  return [paths[0] ?? '', ...(base === 0 ? [] : paths.slice(base))]
}

function dueReleased({ paths, recipe }: GraphStage): string {
  const { ask, secondOver } = recipe
  const dropped = paths.slice(1, ask.base === 0 ? undefined : ask.base)
  const kept = new Set(secondOver === null ? [] : paths.slice(secondOver))
  const due = dropped.filter((path) => !kept.has(path))
  return due.sort().join(' ')
}

/** The XML of the first disk states the chain that was promised. */
function xmlComplaints({ puller, chains }: GraphStage): string[] {
  if (!puller.hasXml) return []
  const [disk = ''] = readFileSync(puller.xmlPath, 'utf8').split('</disk>')
  const stated = [...disk.matchAll(/<source file='([^']*)'/g)].map(([, path]) => path).join(' ')
  const due = chains[0]?.join(' ')
  return stated === due ? [] : [`the XML states ${stated}, it should state ${due}`]
}

/** Nothing of ours is left in the QEMU that runs. */
export async function machineComplaints({ machine }: GraphStage): Promise<string[]> {
  if (machine.hasEnded) return await machine.complaints()
  const jobs = (await machine.jobs()).filter(({ id }) => id.startsWith('blockpull-'))
  const { nodes } = await machine.client.execute('x-debug-query-block-graph')
  const names: string[] = nodes.map(({ name }: { name: string }) => name)
  const left = names.filter((name) => name.startsWith('blockpull-'))
  return [
    ...jobs.map(({ id, status }) => `QEMU still has the job '${id}', which is ${status}`),
    ...left.map((name) => `QEMU still has the filter '${name}'`),
  ]
}

/** Judges the files once no QEMU has them open. */
export async function fileComplaints(stage: GraphStage): Promise<string[]> {
  const [active = ''] = stage.paths
  const complaints: string[] = []
  const layers = await headerChain(active)
  const found = layers.map(({ path }) => path).join(' ')
  const due = stage.chains.map((chain) => chain.join(' '))
  if (!due.includes(found))
    complaints.push(`the headers lead through ${found}, they should through ${due.join(' or ')}`)
  const differs = stage.model.complaint(await readDisk(active))
  if (differs !== null) complaints.push(differs)
  // A dirty image has refcounts that the next QEMU makes anew.
  if (layers[0]?.isDirty !== true) complaints.push(...(await structureComplaints(stage, active)))
  for (const [path, digest] of stage.digests) {
    const mayDiffer = path === active ? mayActiveDiffer(stage) : stage.written.has(path)
    if (!mayDiffer && digestOf(path) !== digest) complaints.push(`'${path}' has changed`)
  }
  return complaints
}

/** Whether something other than a refused pull was to write to the active image. */
function mayActiveDiffer({ told, hasWritten, recipe, chain }: GraphStage): boolean {
  if (recipe.isSnapshot) return false
  const layer = chain.layers[0]
  const isTouched = layer?.createOptions.includes('lazy_refcounts=on') || recipe.copiesOnRead
  const filters = recipe.filters.some(({ kind }) => kind === 'preallocate' || kind === 'copy-on-read')
  return hasWritten || filters || isTouched || told.some(({ how }) => how !== 'refused')
}

async function structureComplaints({ mayLeak, mayMiscount }: GraphStage, active: string): Promise<string[]> {
  const { code, stdout, stderr } = await run('qemu-img', ['check', '-f', 'qcow2', active])
  const errors = stderr.split('\n').filter((line) => line.startsWith('ERROR'))
  const isMiscounted = errors.every((line) => /refcount=[01]/.test(line))
  const isKnown = (mayLeak && code === 3) || (mayMiscount && code !== 0 && isMiscounted)
  return code === 0 || isKnown ? [] : [`qemu-img check ended with ${code}: ${stdout}${stderr}`]
}
