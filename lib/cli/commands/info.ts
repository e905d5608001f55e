// SPDX-License-Identifier: Apache-2.0
//
// `blockpull info`: what the header of one image file says.
//
// `chain` shows the layers, and walks their tables; this one reads a few clusters and opens no backing file, so it also
// works for an image whose chain is broken.

import type { ImageInfo, Qcow2Info } from '../../index.js'
import { formatOption } from '../args.js'
import { toPath } from '../command-line.js'
import type { Command } from '../context.js'
import { done } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { type Amount, formatBytes, formatTable } from '../measures.js'
import { report } from '../report.js'
import { shorten } from '../shown.js'

export const info: Command = {
  name: 'info',
  summary: 'Show what the header of an image says: features, snapshots, bitmaps.',
  usage: ['info IMAGE [OPTION]...'],
  options: formatOption,
  operands: 'files',
  notes: [],
  run: async (args, context) => {
    const [path = ''] = args.exactly('IMAGE')
    const json = args.has('json')
    const found = await context.api.imageInfo(toPath(path), { format: args.text('format'), bigint: true })
    if (json) writeJson(context.out, { event: 'info', ...found })
    else context.out.write(infoText(path, found))
    return report(context, done, { json })
  },
}

function infoText(path: string, found: ImageInfo<bigint>): string {
  const { format, virtualSize, allocatedBytes, backingFile, backingFormat, inUseBy, qcow2 } = found
  const rows = [
    ['image', path],
    ['format', qcow2 === null ? format : `${format}, version ${qcow2.version}`],
    ['virtual size', inFull(virtualSize)],
    ['on disk', formatBytes(allocatedBytes)],
    ...optional('backing file', backingFile),
    ...optional('backing format', backingFormat),
    ...optional('in use by', inUseBy),
    ...(qcow2 === null ? [] : qcow2Rows(qcow2)),
  ]
  return `${formatTable(rows)}${qcow2 === null ? '' : listsText(qcow2)}`
}

function qcow2Rows({ clusterSize, refcountBits, compression, features, encryption, dataFile }: Qcow2Info<bigint>) {
  return [
    ['cluster size', formatBytes(clusterSize)],
    ['refcount bits', String(refcountBits)],
    ['compression', compression],
    ...optional('features', features.join(', ') || null),
    ...optional('encryption', encryption),
    ...optional('data file', dataFile),
  ]
}

function listsText({ snapshots, bitmaps }: Qcow2Info<bigint>): string {
  const taken = snapshots.map(({ id, name, takenAt, vmStateBytes, diskSize }) => [
    shorten(id),
    shorten(name),
    takenAt.toISOString().replace(/\.000Z$/, 'Z'),
    diskSize === null ? '-' : formatBytes(diskSize),
    vmStateBytes === 0n ? '-' : formatBytes(vmStateBytes),
  ])
  const kept = bitmaps.map(({ name, granularity, inUse, recording }) => [
    shorten(name),
    formatBytes(granularity),
    inUse ? 'not saved' : recording ? 'recording' : 'stopped',
  ])
  return [
    ...(taken.length === 0
      ? []
      : ['\n', formatTable([['SNAPSHOT', 'NAME', 'TAKEN', 'DISK', 'VM STATE'], ...taken], [3, 4])]),
    ...(kept.length === 0 ? [] : ['\n', formatTable([['BITMAP', 'GRANULARITY', 'STATE'], ...kept], [1])]),
  ].join('')
}

function optional(name: string, value: string | null): string[][] {
  return value === null ? [] : [[name, value]]
}

/** '10.0 GiB (10737418240 bytes)'. */
function inFull(bytes: Amount): string {
  return `${formatBytes(bytes)} (${bytes} bytes)`
}
