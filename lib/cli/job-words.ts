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

/** A QEMU that has not answered for so long is worth a word. */
export const longSilenceSeconds = 10

/** What a job waits on. */
export function stopWords(code: StopCode): string {
  return code === 'NO_SPACE' ? 'disk full' : 'I/O error'
}

/** What a job does that moves nothing at the moment; '' for one that does. */
export function phaseWords(phase: Progress<Amount>['phase']): string {
  if (phase === 'paused') return 'paused while the guest is migrated or saved'
  return phase === 'pending' ? 'waits to be finished' : ''
}

/** 'pull, 42.0 %', for a column; ', disk full' after that for one that waits. */
export function jobShare({ type, cur, end, stoppedOn }: BlockJobInfo<Amount>): string {
  const name = typeName(type)
    .replace(/^Block /, '')
    .toLowerCase()
  return `${name}, ${formatShare(cur, end)}${stoppedOn === null ? '' : `, ${stopWords(stoppedOn)}`}`
}

/** 'Block Pull, 42.0 % (420.0 MiB of 1000.0 MiB), limit: none' */
export function jobSentence(job: BlockJobInfo<Amount>): string {
  const amounts = `${formatBytes(job.cur)} of ${formatBytes(job.end)}`
  const facts = [`${typeName(job.type)}, ${formatShare(job.cur, job.end)} (${amounts})`]
  facts.push(`limit: ${formatLimit(job.bandwidth)}`)
  if (job.stoppedOn !== null) facts.push(`waits to be resumed: ${stopWords(job.stoppedOn)}`)
  return facts.join(', ')
}

/** As `virsh blockjob --raw` prints it: the limit in MiB/s, rounded up, or in bytes a second. */
export function rawJob({ type, bandwidth, cur, end }: BlockJobInfo<bigint>, inBytes: boolean): string {
  const limit = inBytes ? bandwidth : (bandwidth + 1048575n) / 1048576n
  return ` type=${typeName(type)}\n bandwidth=${limit}\n cur=${cur}\n end=${end}\n`
}

/** As `virsh event` prints it, and after a failure why. */
export function eventSentence({ domain, type, status, path, error }: BlockJobEvent): string {
  const what = `${typeName(type)} for ${path} ${statusNames.get(status) ?? `status ${status}`}`
  const why = status === BlockJobStatus.FAILED && error !== null ? `: ${error.message}` : ''
  return `event 'block-job' for domain '${domain.name}': ${what}${why}`
}
