// SPDX-License-Identifier: Apache-2.0
//
// Writes a sound qcow2 image of many terabytes that consists of tables alone: every n-th guest cluster is allocated,
// and all clusters of data are one hole of the file. An image like that is as long to walk as an honest one whose
// guest has written all over its disk, and takes seconds to make.
//
//     header │ L1 │ refcount table │ refcount blocks │ L2 tables │ data, a hole
//
// Clusters of 64 KiB, 16-bit refcounts. With the same options `test/support/images/qcow2-builder.mjs` writes images
// that have data; this one keeps no list of clusters.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { encodeHeader } from '../test/support/images/qcow2-header.mjs'

const clusterBits = 16
const clusterSize = 2 ** clusterBits
const entriesPerTable = clusterSize / 8
const refcountsPerBlock = clusterSize / 2

/** Of a table entry: "copied", and the host offset of a cluster, big-endian.
 * @param {Buffer} table @param {number} index @param {number} cluster */
function putEntry(table, index, cluster) {
  table.writeUInt32BE(0x80000000 + Math.floor(cluster / 2 ** (32 - clusterBits)), index * 8)
  table.writeUInt32BE((cluster % 2 ** (32 - clusterBits)) * clusterSize, index * 8 + 4)
}

/** Where everything lies, in clusters. @param {number} guestClusters @param {number} every */
function layOut(guestClusters, every) {
  const tables = Math.ceil(guestClusters / entriesPerTable)
  const data = Math.ceil(guestClusters / every)
  const l1Clusters = Math.ceil((tables * 8) / clusterSize)
  let blocks = 0
  let blockTable = 0
  for (let total = 0; total !== 1 + l1Clusters + blockTable + blocks + tables + data; ) {
    total = 1 + l1Clusters + blockTable + blocks + tables + data
    blocks = Math.ceil(total / refcountsPerBlock)
    blockTable = Math.ceil((blocks * 8) / clusterSize)
  }
  const firstBlock = 1 + l1Clusters + blockTable
  const firstTable = firstBlock + blocks
  const firstData = firstTable + tables
  return { tables, l1Clusters, blocks, blockTable, firstBlock, firstTable, firstData, end: firstData + data }
}

/**
 * @param {string} path
 * @param {{ size: number, every: number, backingFile?: string, backingFormat?: string }} options bytes, a multiple of
 *   64 KiB; 1: every cluster has data, 2: every second one
 */
export function writeMapped(path, { size, every, ...backing }) {
  const guestClusters = size / clusterSize
  const lies = layOut(guestClusters, every)
  const file = openSync(path, 'w')
  const put = (/** @type {Buffer} */ bytes, /** @type {number} */ cluster) => {
    if (writeSync(file, bytes, 0, bytes.length, cluster * clusterSize) !== bytes.length) {
      throw new Error(`'${path}' could not be written whole`)
    }
  }
  const blockTable = Buffer.alloc(lies.blockTable * clusterSize)
  for (let index = 0; index < lies.blocks; index++) {
    blockTable.writeBigUInt64BE(BigInt(lies.firstBlock + index) * BigInt(clusterSize), index * 8)
    const counted = Math.min(lies.end - index * refcountsPerBlock, refcountsPerBlock)
    const block = Buffer.alloc(clusterSize)
    block.fill(Buffer.from([0, 1]), 0, counted * 2)
    put(block, lies.firstBlock + index)
  }
  const l1 = Buffer.alloc(lies.l1Clusters * clusterSize)
  let data = lies.firstData
  for (let index = 0; index < lies.tables; index++) {
    putEntry(l1, index, lies.firstTable + index)
    const table = Buffer.alloc(clusterSize)
    const end = Math.min(guestClusters - index * entriesPerTable, entriesPerTable)
    for (let entry = 0; entry < end; entry += every) {
      putEntry(table, entry, data++)
    }
    put(table, lies.firstTable + index)
  }
  put(l1, 1)
  put(blockTable, 1 + lies.l1Clusters)
  const tables = {
    l1Entries: lies.tables,
    l1Offset: clusterSize,
    tableOffset: (1 + lies.l1Clusters) * clusterSize,
    tableClusters: lies.blockTable,
  }
  put(encodeHeader({ size, version: 3, clusterBits, refcountBits: 16, ...backing }, tables), 0)
  ftruncateSync(file, lies.end * clusterSize)
  closeSync(file)
}
