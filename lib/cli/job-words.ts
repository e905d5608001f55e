// SPDX-License-Identifier: Apache-2.0
//
// virsh's words for the block jobs of a disk: what `virsh blockjob` and `virsh event` print. Pure functions.

import {
  type BlockJobEvent,
  type BlockJobInfo,
  BlockJobStatus,
  BlockJobType,
  type Progress,
  type StopCode,
} from '../index.js'
import { type Amount, formatBytes, formatLimit, formatShare } from './measures.js'

const typeNames: ReadonlyMap<number, string> = new Map([
  [BlockJobType.PULL, 'Block Pull'],
  [BlockJobType.COPY, 'Block Copy'],
  [BlockJobType.COMMIT, 'Block Commit'],
  [BlockJobType.ACTIVE_COMMIT, 'Active Block Commit'],
  [BlockJobType.BACKUP, 'Backup'],
])

const statusNames: ReadonlyMap<number, string> = new Map([
  [BlockJobStatus.COMPLETED, 'completed'],
  [BlockJobStatus.FAILED, 'failed'],
  [BlockJobStatus.CANCELED, 'canceled'],
  [BlockJobStatus.READY, 'ready'],
])

export function typeName(type: number): string {
  return typeNames.get(type) ?? 'Unknown job'
}

/** A QEMU that is silent this long is reported. */
export const longSilenceSeconds = 10

/** What a job waits on. */
export function stopWords(code: StopCode): string {
  return code === 'NO_SPACE' ? 'disk full' : 'I/O error'
}

/** Why a job moves nothing at the moment; '' if it does. */
export function phaseWords(phase: Progress<Amount>['phase']): string {
  if (phase === 'paused') return 'paused while the guest is migrated or saved'
  return phase === 'pending' ? 'waiting to be finished' : ''
}

/** The share of a job that has not ended, and so never 100 %. */
function share({ cur, end }: BlockJobInfo<Amount>): string {
  return formatShare(cur, end).replace(/^100\.0/, '99.9')
}

const stateWords = { running: '', stopped: '', pending: '', paused: 'paused', aborting: 'stopping' } as const

/** 'pull, 42.0 %', for a column, then why it does not run, ', disk full' for example. */
export function jobShare(job: BlockJobInfo<Amount>): string {
  const name = typeName(job.type)
    .replace(/^Block /, '')
    .toLowerCase()
  if (job.state === 'pending') return `${name}, waiting to be finished`
  const why = job.stoppedOn === null ? stateWords[job.state] : stopWords(job.stoppedOn)
  return `${name}, ${share(job)}${why === '' ? '' : `, ${why}`}`
}

/** 'Block Pull, 42.0 % (420.0 MiB of 1000.0 MiB), limit: none', then why it does not run. */
export function jobSentence(job: BlockJobInfo<Amount>): string {
  if (job.state === 'pending') {
    const who = job.foreign
      ? 'by the program that started it'
      : "by the process that tracks it, or by 'blockpull reap' if that is gone"
    return `${typeName(job.type)}, nothing is left to copy, waiting to be finished ${who}`
  }
  const amounts = `${formatBytes(job.cur)} of ${formatBytes(job.end)}`
  const facts = [`${typeName(job.type)}, ${share(job)} (${amounts})`, `limit: ${formatLimit(job.bandwidth)}`]
  if (job.stoppedOn !== null) facts.push(`waiting to be resumed: ${stopWords(job.stoppedOn)}`)
  else if (stateWords[job.state] !== '') facts.push(stateWords[job.state])
  return facts.join(', ')
}

/** As `virsh blockjob --raw` prints it: the limit in MiB/s, rounded up, or in bytes a second. */
export function rawJob({ type, bandwidth, cur, end }: BlockJobInfo<bigint>, inBytes: boolean): string[] {
  const limit = inBytes ? bandwidth : (bandwidth + 1048575n) / 1048576n
  return [` type=${typeName(type)}`, ` bandwidth=${limit}`, ` cur=${cur}`, ` end=${end}`]
}

/** As `virsh event` prints it, followed by the reason of a failure. */
export function eventSentence({ domain, type, status, path, error }: BlockJobEvent): string {
  const what = `${typeName(type)} for ${path} ${statusNames.get(status) ?? `status ${status}`}`
  const why = status === BlockJobStatus.FAILED && error !== null ? `: ${error.message}` : ''
  return `event 'block-job' for domain '${domain.name}': ${what}${why}`
}
