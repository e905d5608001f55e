// SPDX-License-Identifier: Apache-2.0
//
// How fast is what a monitor sends split, parsed and read, beside the JavaScript client that everybody writes:
// collect text, cut it at line ends, JSON.parse? Three inputs, all said by a real QEMU: mixed replies and events,
// the schema (one message of 200 KB), and a storm of job events. Both sides take the same bytes in reads of 64 KiB,
// the JavaScript one in this process, warmed up; they take turns, and a figure is the median of the rounds, each the
// median of its passes. Time is CPU time, so that others on the machine count little.
//
//     node bench/qmp-framing.mjs [--rounds 9] [--seconds 0.3]
//
// Builds bench/qmp_framing.cc with the preset 'release'. Prints a table in Markdown, the machine and the command.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '0.3' },
  },
})
const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const program = join(root, 'build-cmake/release/qmp_framing')
const readBytes = 65536

/** What one round of one side measured. @typedef {{ nanoseconds: number, messages: number }} Pass */

/** All that QEMU says to these commands and to 'quit'. @param {object[]} commands */
function qemuSays(commands) {
  const sent = [{ execute: 'qmp_capabilities' }, ...commands, { execute: 'quit' }]
  return execFileSync(
    'qemu-system-x86_64',
    ['-machine', 'none', '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'],
    {
      input: sent.map((command, id) => JSON.stringify({ ...command, id })).join('\n'),
      maxBuffer: 1 << 26,
    },
  )
}

/** Runs of `count` bytes and more of whole lines. @param {string[]} lines @param {number} count */
function repeated(lines, count) {
  const once = lines.map((line) => `${line}\r\n`).join('')
  return Buffer.from(once.repeat(Math.ceil(count / once.length)))
}

/** @returns {Record<string, Buffer>} */
function inputs() {
  const node = (/** @type {string} */ name) => ({
    execute: 'blockdev-add',
    arguments: { driver: 'null-co', 'node-name': name, size: 2 ** 30, 'read-zeroes': true },
  })
  const job = { device: 'from', target: 'to', sync: 'full', 'job-id': 'blockpull-vda-0badcafe', speed: 1 }
  const pause = ['job-pause', 'job-resume'].map((execute) => ({ execute, arguments: { id: job['job-id'] } }))
  const queries = ['query-commands', 'query-status', 'query-jobs', 'query-block-jobs', 'query-block', 'query-version']
  const mixed = qemuSays([
    ...[node('from'), node('to'), { execute: 'blockdev-mirror', arguments: job }],
    ...Array.from({ length: 10 }, () => pause).flat(),
    ...queries.map((execute) => ({ execute })),
    { execute: 'query-named-block-nodes', arguments: { flat: true } },
    { execute: 'no-such-command' },
  ])
  const lines = mixed.toString().trimEnd().split('\r\n')
  const schema = qemuSays([{ execute: 'query-qmp-schema' }])
  return {
    'mixed replies and events': repeated(lines, 400_000),
    'one schema': schema,
    'storm of job events': repeated(
      lines.filter((line) => line.includes('"JOB_STATUS_CHANGE"')),
      400_000,
    ),
  }
}

/** The client that everybody writes. @param {Buffer} sent @returns {number} messages */
function javascriptPass(sent) {
  let messages = 0
  let rest = ''
  for (let at = 0; at < sent.length; at += readBytes) {
    rest += sent.toString('utf8', at, Math.min(at + readBytes, sent.length))
    let begin = 0
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n', begin)) {
      const message = JSON.parse(rest.slice(begin, end))
      messages += message.QMP || message.event || 'return' in message || message.error ? 1 : 0
      begin = end + 1
    }
    rest = rest.slice(begin)
  }
  return messages
}

/** @param {Buffer} sent @returns {Pass} */
function javascript(sent) {
  const cpu = () => {
    const { user, system } = process.cpuUsage()
    return (user + system) * 1000
  }
  const passes = []
  let messages = 0
  for (const end = cpu() + Number(values.seconds) * 1e9; cpu() < end; ) {
    const begin = cpu()
    messages = javascriptPass(sent)
    passes.push(cpu() - begin)
  }
  return { nanoseconds: median(passes), messages }
}

/** @param {string} file @param {string[]} more @returns {Pass} */
function native(file, ...more) {
  return JSON.parse(execFileSync(program, [file, String(readBytes), values.seconds, ...more], { encoding: 'utf8' }))
}

/** @param {number[]} numbers */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN

/** @param {string} name @param {Buffer} sent @param {string} folder */
function compare(name, sent, folder) {
  const file = join(folder, 'sent')
  writeFileSync(file, sent)
  const sides = { ours: () => native(file), splitting: () => native(file, 'split'), theirs: () => javascript(sent) }
  /** @type {Record<keyof typeof sides, Pass[]>} */
  const rounds = { ours: [], splitting: [], theirs: [] }
  sides.theirs()
  for (let round = 0; round < Number(values.rounds); round++) {
    rounds.ours.push(sides.ours())
    rounds.theirs.push(sides.theirs())
    rounds.splitting.push(sides.splitting())
  }
  const messages = rounds.ours[0]?.messages ?? 0
  if (Object.values(rounds).some((passes) => passes.some((pass) => pass.messages !== messages))) {
    throw new Error(`the two sides read different messages from '${name}'`)
  }
  const time = (/** @type {Pass[]} */ passes) => median(passes.map((pass) => pass.nanoseconds))
  const speed = (/** @type {Pass[]} */ passes) => `${((sent.length * 1000) / time(passes)).toFixed(0)} MB/s`
  const rate = (/** @type {Pass[]} */ passes) => {
    const perSecond = (messages * 1e9) / time(passes)
    return `${Number(perSecond.toPrecision(2)).toLocaleString('en-US')}/s`
  }
  const ratio = median(rounds.ours.map((ours, i) => ours.nanoseconds / (rounds.theirs[i]?.nanoseconds ?? NaN)))
  const cells = [speed(rounds.ours), rate(rounds.ours), speed(rounds.theirs), rate(rounds.theirs), ratio.toFixed(2)]
  console.log(`| ${[name, ...cells, speed(rounds.splitting)].join(' | ')} |`)
}

for (const step of [
  ['--preset', 'release'],
  ['--build', '--preset', 'release', '--target', 'qmp_framing'],
]) {
  execFileSync('cmake', step, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
}
const folder = mkdtempSync(join(tmpdir(), 'blockpull-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const qemu = execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }).split('\n')[0]
console.log(`${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}, ${qemu}, Node ${process.versions.node}`)
console.log(`node bench/qmp-framing.mjs --rounds ${values.rounds} --seconds ${values.seconds}\n`)
console.log('| input | ours | messages | JSON.parse | messages | CPU, ours to theirs | ours, splitting alone |')
console.log('| --- | --- | --- | --- | --- | --- | --- |')
for (const [name, sent] of Object.entries(inputs())) {
  compare(name, sent, folder)
}
