// SPDX-License-Identifier: Apache-2.0
//
// What happens to the machine of a random round while its disk is pulled: it is stopped, saved to a file and resumed
// in place or by another QEMU, sent to another QEMU that takes over, or a migration of it is cancelled.
//
//     saved, sent    the images of the first QEMU are inactive: what runs there then writes nothing, whatever it says
//     sent           the second QEMU has the images from then on; its guest writes, and the first must not

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { within } from '../random-live/pull.js'
import type { JobBeside } from './beside.js'
import { GraphMachine } from './machine.js'
import type { GraphPull, Told } from './pull.js'
import type { GraphStage } from './stage.js'

const gone = 'QEMU has ended'
const migrating = 'a migration'
const migrationWords = /migrat|inactive|incoming|run ?state|saved/i

/** Bytes a second: a migration that is to be cancelled takes many seconds. */
const crawl = 4096

/** A pull, with the life of the recipe while it runs; gives its end, of the last where there were several. */
export async function liveThrough(stage: GraphStage, beside: JobBeside | null): Promise<Told> {
  const { life } = stage.recipe
  if (life === 'pull in a migration') {
    const end = await beginMigration(stage)
    await mustBeRefused(stage)
    await end()
  }
  if (life === 'pull when saved') {
    if (await save(stage)) await mustBeRefused(stage)
    await resume(stage)
  }
  const pull = await begun(stage)
  if (beside?.beside.begins === 'during') await beside.begin()
  if (life === 'stop') await stopForAWhile(stage)
  if (life === 'save') await saveForAWhile(stage)
  if (life === 'cancelled migration') await cancelledMigration(stage)
  if (life === 'save and quit') return await moveByFile(stage, pull)
  if (life === 'migrate') return await moveOver(stage, pull)
  for (let left = stage.random.below(4); left > 0 && !pull.isOver; left--) await stage.something()
  // The pull may wait for it, and it is slow.
  if (beside?.beside.begins === 'during' && beside.beside.kind === 'mirror') await beside.end()
  return await stage.finish(pull)
}

/** Asks, and waits until the job runs or for a moment. */
async function begun(stage: GraphStage): Promise<GraphPull> {
  const { random } = stage
  const pull = stage.ask()
  await Promise.race([
    within('the start of the pull', pull.begun),
    ...(random.chance(0.4) ? [pause(random.below(80))] : []),
  ])
  if (random.chance(0.5)) await pause(random.below(120))
  return pull
}

async function mustBeRefused(stage: GraphStage): Promise<void> {
  const told = await stage.finish(stage.ask())
  stage.told.push(told)
  if (told.how !== 'refused') throw new Error(`a pull that must be refused ended as ${told.how}: ${told.message}`)
}

async function stopForAWhile(stage: GraphStage): Promise<void> {
  stage.note('stop')
  await stage.machine.stop()
  await stage.something()
  stage.note('cont')
  await stage.machine.cont()
}

/** Saves the machine to a file; its images are inactive then. QEMU may find that it cannot. */
async function save(stage: GraphStage): Promise<boolean> {
  const { machine, model } = stage
  endangerJobs(stage)
  await machine.stop()
  const { mark } = model
  stage.note('the machine is saved')
  await machine.migrate(`exec:cat > ${savedFile(stage)}`)
  const how = await machine.migrated()
  stage.note(`saved: ${how}`)
  if (how === 'completed') model.flushedUpTo(mark)
  stage.mayMiscount ||= how === 'completed'
  return how === 'completed'
}

async function resume(stage: GraphStage): Promise<void> {
  stage.note('the machine is resumed')
  await stage.machine.cont()
  stage.passed.add(migrating)
}

async function saveForAWhile(stage: GraphStage): Promise<void> {
  await save(stage)
  await pause(stage.random.below(150))
  await resume(stage)
}

/** Begins a migration that leads nowhere; what is returned cancels it. */
async function beginMigration(stage: GraphStage): Promise<() => Promise<void>> {
  const { machine, random } = stage
  endangerJobs(stage)
  const other = random.chance(0.3) ? await secondMachine(stage, `unix:${socketPath(stage)}`) : null
  await machine.client.execute('migrate-set-parameters', { 'max-bandwidth': crawl })
  stage.note('a migration begins')
  await machine.migrate(other === null ? 'exec:cat > /dev/null' : `unix:${socketPath(stage)}`)
  return async () => {
    await machine.client.execute('migrate_cancel')
    const how = await machine.migrated()
    stage.note(`the migration is cancelled: ${how}`)
    if (how === 'completed') await machine.cont()
    await machine.client.execute('migrate-set-parameters', { 'max-bandwidth': 1 << 30 })
    await other?.kill()
    stage.passed.add(migrating)
  }
}

async function cancelledMigration(stage: GraphStage): Promise<void> {
  const cancel = await beginMigration(stage)
  // The guest writes nothing meanwhile: the images may be inactive already.
  await pause(stage.random.below(250))
  await cancel()
}

/** The machine is saved, its QEMU quits, and another one resumes it. */
async function moveByFile(stage: GraphStage, pull: GraphPull): Promise<Told> {
  const source = stage.machine
  const isSaved = await save(stage)
  await pause(stage.random.below(150))
  if (!isSaved) {
    await resume(stage)
    return await stage.finish(pull)
  }
  await leave(stage, source)
  const told = await within('the pull', pull.told)
  stage.model.flushedUpTo()
  await takeOver(stage, await secondMachine(stage, `exec:cat ${savedFile(stage)}`))
  return told
}

/** The machine is sent to another QEMU, whose guest writes while the first QEMU is still there. */
async function moveOver(stage: GraphStage, pull: GraphPull): Promise<Told> {
  const { random, model } = stage
  const source = stage.machine
  const target = await secondMachine(stage, `unix:${socketPath(stage)}`)
  endangerJobs(stage)
  stage.note('the machine is sent to another QEMU')
  const { mark } = model
  await source.migrate(`unix:${socketPath(stage)}`)
  const how = await source.migrated()
  stage.note(`sent: ${how}`)
  if (how !== 'completed') {
    await target.kill()
    return await stage.finish(pull)
  }
  model.flushedUpTo(mark)
  stage.mayMiscount = true
  await takeOver(stage, target)
  for (let left = random.between(1, 3); left > 0; left--) await stage.something()
  await Promise.race([pull.told, pause(random.below(600))])
  await source.liftLimits().catch(() => undefined)
  await Promise.race([pull.told, pause(200)])
  await leave(stage, source)
  return await within('the pull', pull.told)
}

/** The QEMU whose machine is elsewhere ends. */
async function leave(stage: GraphStage, source: GraphMachine): Promise<void> {
  stage.note('the first QEMU quits')
  // Without XML nobody else knows its disks.
  stage.reasons.set(gone, /^(MONITOR_LOST|NO_DISK)/)
  await source.quit()
}

async function secondMachine(stage: GraphStage, from: string): Promise<GraphMachine> {
  const machine = await GraphMachine.start(stage.recipe, stage.images, 'other', from)
  stage.others.push(machine)
  return machine
}

/** The second QEMU has the images from now on. */
async function takeOver(stage: GraphStage, target: GraphMachine): Promise<void> {
  await target.leaves('inmigrate')
  await target.cont()
  stage.enter(target, false)
  stage.passed.add(gone)
  stage.passed.add(migrating)
}

function endangerJobs(stage: GraphStage): void {
  stage.mayFail = true
  stage.passed.delete(migrating)
  stage.reasons.set(migrating, migrationWords)
}

function savedFile(stage: GraphStage): string {
  return join(stage.images.folder, 'saved')
}

function socketPath(stage: GraphStage): string {
  return join(stage.images.folder, 'migration')
}
