// SPDX-License-Identifier: Apache-2.0
//
// Shows a pull from beginning to end, in a folder of its own that is removed afterwards: a base and an overlay
// made with `blockpull create`, data written into both as a guest would have (by the test suite's qcow2 writer;
// no QEMU is needed), the chain, a digest of what a guest reads, the pull with its bar, the chain again, the
// digest again. The speed is limited only so that the bar can be seen.
//
// Everything shown is the real command's own output; this script prints the commands and compares the digests.

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readQcow2Options, writeQcow2 } from '../test/support/images/qcow2-builder.mjs'

const command = join(dirname(fileURLToPath(import.meta.url)), '../dist/cli/main.js')
const mebibyte = 2 ** 20
const clusterSize = 2 ** 16
const folder = mkdtempSync(join(tmpdir(), 'blockpull-demo-'))
const isTerminal = process.stdout.isTTY === true

/** @param {string} text */
function heading(text) {
  console.log(isTerminal ? `\n\x1b[1m${text}\x1b[0m` : `\n${text}`)
}

/**
 * Runs `blockpull ...` in the demo's folder, showing the line and its output. @returns {Promise<string>} stdout
 * @param {...string} args
 */
function blockpull(...args) {
  console.log(`$ blockpull ${args.join(' ')}`)
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args], { cwd: folder, stdio: ['inherit', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      process.stdout.write(text)
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) {
        resolve(output)
      } else {
        reject(new Error(`'blockpull ${args.join(' ')}' ended with exit code ${code}`))
      }
    })
  })
}

/**
 * Writes like a guest: random clusters between two places of an image, every eighth compressed text instead.
 * @param {string} name @param {number} from @param {number} to in bytes
 */
function guestWrites(name, from, to) {
  const amount = `${(to - from) / mebibyte} MiB at ${from / mebibyte} MiB`
  console.log(`# a guest writes ${amount} into ${name}; an eighth is text, compressed`)
  const path = join(folder, name)
  /** @type {Map<number, import('../test/support/images/qcow2-builder.mjs').ClusterContent>} */
  const clusters = new Map()
  for (let cluster = from / clusterSize; cluster < to / clusterSize; cluster++) {
    const text = Buffer.alloc(clusterSize, `cluster ${cluster} of ${name}\n`)
    clusters.set(cluster, cluster % 8 === 7 ? { compressed: text } : { data: randomBytes(clusterSize) })
  }
  writeQcow2(path, { ...readQcow2Options(path), clusters })
}

/** @param {string} output @returns {string} */
function digestIn(output) {
  const digest = output.match(/\b[0-9a-f]{64}\b/)?.[0]
  if (digest === undefined) {
    throw new Error(`no SHA-256 in the output of 'blockpull digest': '${output.trim()}'`)
  }
  return digest
}

async function demonstrate() {
  heading('A base image, an overlay on it, and data in both')
  await blockpull('create', 'base.qcow2', '128M')
  guestWrites('base.qcow2', 0, 96 * mebibyte)
  await blockpull('create', 'overlay.qcow2', '128M', '--backing', 'base.qcow2', '--backing-format', 'qcow2')
  guestWrites('overlay.qcow2', 80 * mebibyte, 112 * mebibyte)

  heading('The chain: the overlay needs its base')
  await blockpull('chain', 'overlay.qcow2')
  const before = digestIn(await blockpull('digest', 'overlay.qcow2'))

  heading('The pull, held to 24 MiB/s so that the bar can be seen')
  await blockpull('pull', 'overlay.qcow2', '--bandwidth', '24M')

  heading('The chain again: the overlay stands on its own')
  await blockpull('chain', 'overlay.qcow2')
  const after = digestIn(await blockpull('digest', 'overlay.qcow2'))
  if (before !== after) {
    throw new Error(`the content changed: SHA-256 was ${before} and is ${after}`)
  }
  heading('Same digest before and after: a guest reads the same bytes, and base.qcow2 is no longer needed.')
}

// The children of a Ctrl-C get it too; the folder goes in any case.
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.on('SIGINT', () => process.exit(130))
try {
  await demonstrate()
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
