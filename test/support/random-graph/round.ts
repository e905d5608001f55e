// SPDX-License-Identifier: Apache-2.0
//
// One random round over QEMU, from beginning to end: the story that random-graphs.test.ts tells some times. Gives null
// when all held, and otherwise everything that is needed to see it again as far as chance allows.
//
//     images ─▶ QEMU ─▶ [job beside] ─▶ pull, and a life ─▶ [the pull again] ─▶ QEMU ends ─▶ verdict

import { setTimeout as pause } from 'node:timers/promises'
import { digestOf } from '../images/files.js'
import { type ChainBounds, makeRandomChain, type RandomChain } from '../images/random-chain.js'
import { isChainDamaged } from '../images/random-pull.js'
import { qemuIo } from '../qemu/qemu.js'
import type { Random } from '../random.js'
import { headerChain, readDisk } from '../random-live/layers.js'
import { within } from '../random-live/pull.js'
import type { TempFolder } from '../temp-folder.js'
import { JobBeside } from './beside.js'
import { liveThrough } from './lives.js'
import { makeFilterFiles } from './nodes.js'
import type { Told } from './pull.js'
import { chooseRecipe, type Recipe } from './recipe.js'
import { GraphStage } from './stage.js'
import { fileComplaints, machineComplaints, toldComplaints } from './verdict.js'

const bounds: ChainBounds = { depths: [0, 1, 1, 2, 2, 3, 4], leastSize: 1024 }

/** How often each thing came out, for the figures of a run. */
export type Tally = Map<string, number>

/** Plays one round; null, or what went wrong. */
export async function playRound(random: Random, temp: TempFolder, tally: Tally): Promise<string | null> {
  const stage = await setStage(random, temp)
  const complaints = await Promise.race([play(stage), tooLate()]).catch(async (error: unknown) => [
    error instanceof Error ? `${error.stack}` : `${error}`,
    ...(await stage.machineComplaints()),
  ])
  await stage.close().catch((error: unknown) => complaints.push(`closing: ${error}`))
  await stage.kill()
  for (const told of stage.told) count(tally, wordsFor(told, stage))
  count(tally, `life: ${stage.recipe.life}`)
  if (complaints.length === 0) {
    temp.discard(stage.images.folder)
    return null
  }
  const kept = temp.keep(stage.images.folder)
  const made = [`made by (files kept in '${kept}'):`, ...stage.chain.commands.map((line) => `  ${line}`)]
  const recipe = `the recipe: ${JSON.stringify(stage.recipe)}`
  return [...complaints.map((complaint) => complaint.trim()), recipe, 'what happened:', ...stage.log, ...made].join(
    '\n  ',
  )
}

/** What hangs is a failure that tells its story, before the test's own time is over. */
async function tooLate(): Promise<never> {
  await pause(90_000, undefined, { ref: false })
  throw new Error('the round is not over after 90 seconds')
}

function count(tally: Tally, what: string): void {
  tally.set(what, (tally.get(what) ?? 0) + 1)
}

function wordsFor({ how, verified, durable }: Told, { recipe }: GraphStage): string {
  const claims = `${verified === false ? ', not verified' : ''}${durable === false ? ', not durable' : ''}`
  return `${how}${claims} (${recipe.filters.length > 0 ? 'with' : 'without'} filters)`
}

async function setStage(random: Random, temp: TempFolder): Promise<GraphStage> {
  for (;;) {
    const chain = await makeRandomChain(random, temp.folder('graph'), bounds)
    await fill(random, chain)
    if (!(await isChainDamaged(chain))) {
      const layers = await headerChain(chain.layers[0]?.path ?? '')
      const recipe = chooseRecipe(random, {
        formats: layers.map(({ format }) => format),
        isWhole: layers.map(({ size, clusterSize }) => size % clusterSize === 0),
        isPlain: chain.layers.map((layer) => !layer.hasBitmap && !layer.createOptions.includes('lazy_refcounts=on')),
      })
      const images = await makeFilterFiles(recipe, chain.folder, layers)
      return new GraphStage(random, chain, recipe, images, await readDisk(layers[0]?.path ?? ''))
    }
    temp.discard(chain.folder)
  }
}

/** Fills the most of a backing layer, since a pull of nothing is over at once. */
async function fill(random: Random, { layers }: RandomChain): Promise<void> {
  if (layers.length < 2 || random.chance(0.1)) return
  const { path = '', format = '', size = 0 } = layers[random.between(1, layers.length - 1)] ?? {}
  await qemuIo(path, format, `write -P ${random.between(1, 255)} 0 ${size}`).catch(() => '')
}

async function play(stage: GraphStage): Promise<string[]> {
  const { random, recipe } = stage
  const second = stage.images.second
  const secondWas = second === null ? '' : digestOf(second)
  await stage.start()
  const beside = recipe.beside === null ? null : new JobBeside(stage, recipe.beside)
  if (recipe.beside?.begins === 'before') await beside?.begin()
  for (let left = random.below(3); left > 0; left--) await stage.something()
  const { mark } = stage.model
  const told = await liveThrough(stage, beside).catch(async (error: unknown) => {
    if (await hasEndedOverMigration(stage)) return null
    throw error
  })
  if (told === null) return await fileComplaints(stage)
  const complaints = toldComplaints(stage, told)
  if (told.how === 'completed') stage.model.flushedUpTo(mark)
  if (complaints.length === 0 && isToBeAskedAgain(told, recipe)) {
    complaints.push(...toldComplaints(stage, await stage.finish(stage.ask())))
  }
  complaints.push(...(await machineComplaints(stage)))
  await beside?.end()
  complaints.push(...(await stage.machineComplaints()))
  await end(stage)
  complaints.push(...(await fileComplaints(stage)))
  if (second !== null && digestOf(second) !== secondWas) complaints.push(`the second disk '${second}' has changed`)
  return complaints
}

/** What nobody can prevent who does not migrate the guest: the disk must be whole all the same. */
async function hasEndedOverMigration(stage: GraphStage): Promise<boolean> {
  if (!(await stage.machine.hasEndedOverMigration())) return false
  stage.note('QEMU has ended over the migration')
  for (const other of stage.others) await other.kill()
  stage.mayLeak = true
  stage.hasWritten = true
  await within('close()', stage.puller.close())
  return true
}

/** After an end that is not known, another pull of the disk is always right. */
function isToBeAskedAgain({ how }: Told, { life }: Recipe): boolean {
  return how === 'failed' || how === 'unknown' || (how === 'refused' && life.includes('migrat'))
}

async function end(stage: GraphStage): Promise<void> {
  const { machine, random, told } = stage
  const last = told.at(-1)
  const lasts = last?.how === 'completed' && last.durable !== false && stage.recipe.beside === null
  if (lasts && random.chance(0.4)) {
    stage.note('QEMU is killed')
    stage.mayLeak = true
    await machine.kill()
    return
  }
  stage.note('QEMU quits')
  await machine.quit()
  stage.model.flushedUpTo()
}
