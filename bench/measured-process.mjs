// SPDX-License-Identifier: Apache-2.0
//
// Runs one program and says what it cost: wall time, CPU time and peak memory of that process alone. Node cannot
// ask the kernel about a child (wait4), so a few lines of Python stand between and report on descriptor 3. Peak
// memory has a floor of some 14 MiB, Python's own, which the kernel carries over into the program it becomes.

import { spawn } from 'node:child_process'

const wrapper = `
import json, os, subprocess, sys, time
begin = time.monotonic()
child = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(child.pid, 0)
os.write(3, json.dumps({
  "exit": os.waitstatus_to_exitcode(status),
  "seconds": time.monotonic() - begin,
  "cpuSeconds": usage.ru_utime + usage.ru_stime,
  "peakBytes": usage.ru_maxrss * 1024,
}).encode())
`

/** @typedef {{ seconds: number, cpuSeconds: number, peakBytes: number }} Cost */

/**
 * @param {string[]} command program and arguments
 * @param {(line: string, send: (text: string) => void) => void} [onLine] talks to a program that is spoken to
 * @param {string} [first] what it is sent at once
 * @returns {Promise<Cost>}
 */
export function measured(command, onLine, first) {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', ['-c', wrapper, ...command], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] })
    const [input, output, errors, report] = child.stdio
    let printed = ''
    let line = ''
    let cost = ''
    output?.on('data', (text) => {
      line += text
      for (let end = line.indexOf('\n'); end !== -1; end = line.indexOf('\n')) {
        onLine?.(line.slice(0, end), (reply) => input?.write(reply))
        line = line.slice(end + 1)
      }
    })
    errors?.on('data', (text) => {
      printed += text
    })
    report?.on('data', (/** @type {Buffer} */ text) => {
      cost += text
    })
    if (first !== undefined) {
      input?.write(first)
    }
    child.on('error', reject)
    child.on('close', () => {
      const { exit, ...rest } = JSON.parse(cost === '' ? '{"exit":"nothing"}' : cost)
      if (exit === 0) {
        resolve(rest)
      } else {
        reject(new Error(`'${command.join(' ')}' ended with ${exit}: ${printed.trim()}`))
      }
    })
  })
}
