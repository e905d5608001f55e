// SPDX-License-Identifier: Apache-2.0
//
// Every command that the peer knows: since and until when, in which program, with which arguments, and what it
// does to the machine. `query-commands` and `query-qmp-schema` are answered from this table, so what the peer
// says it can do and what it does are one thing.

import { QmpFailure } from './qmp-failure.mjs'

/** @typedef {import('./machine.mjs').Machine} Machine */
/** @typedef {import('./stream-job.mjs').StreamJob} StreamJob */

/**
 * @typedef {object} ArgumentDefinition
 * @property {'string' | 'integer' | 'boolean' | 'object' | 'array' | readonly string[]} type a list: one of these
 * @property {boolean} isRequired
 * @property {number} since
 */

/**
 * @typedef {object} CommandDefinition
 * @property {(machine: Machine, args: any) => unknown} run gives what is returned; nothing means {}
 * @property {Record<string, ArgumentDefinition>} [args]
 * @property {boolean} [takesAnything] further arguments are not looked at
 * @property {number} [since] version number; default 0
 * @property {number} [until] first version without it
 * @property {number} [deprecatedSince]
 * @property {'system' | 'storage-daemon'} [only]
 */

/** @param {ArgumentDefinition['type']} type @param {number} [since] */
const must = (type, since = 0) => ({ type, since, isRequired: true })
/** @param {ArgumentDefinition['type']} type @param {number} [since] */
const may = (type, since = 0) => ({ type, since, isRequired: false })

const id = { id: must('string') }
const device = { device: must('string') }

/** @type {Record<string, CommandDefinition>} */
const asking = {
  'query-version': { run: ({ version }) => describeVersion(version) },
  'query-commands': { run: (machine) => namesFor(machine).map((name) => ({ name })) },
  'query-qmp-schema': { since: 205, run: (machine) => describeSchema(machine) },
  'query-name': { only: 'system', run: ({ name }) => (name === undefined ? {} : { name }) },
  'query-uuid': { only: 'system', run: ({ uuid }) => ({ UUID: uuid }) },
  'query-status': { only: 'system', run: describeStatus },
  'query-migrate': { only: 'system', run: ({ migration }) => migration.describe() },
  'query-cpus-fast': { since: 212, only: 'system', run: describeProcessors },
  'query-block': { run: (machine) => (machine.version.program === 'system' ? machine.answers.queryBlock() : []) },
  'query-blockstats': {
    run: (machine) => (machine.version.program === 'system' ? machine.answers.queryBlockStats() : []),
  },
  'query-named-block-nodes': {
    since: 200,
    args: { flat: may('boolean', 500) },
    run: (machine, { flat }) => machine.queryNodes(flat ?? false),
  },
  'x-debug-query-block-graph': { since: 400, run: (machine) => machine.queryEdges() },
  'query-jobs': { since: 300, run: (machine) => listJobs(machine, (job) => job.describe()) },
  'query-block-jobs': { run: (machine) => listJobs(machine, (job) => describeBlockJob(machine, job)) },
}

/** @type {Record<string, CommandDefinition>} */
const streaming = {
  'block-stream': {
    since: 101,
    args: {
      'job-id': may('string', 207),
      device: must('string'),
      base: may('string'),
      'base-node': may('string', 208),
      'backing-file': may('string', 201),
      'backing-mask-protocol': may('boolean', 900),
      bottom: may('string', 600),
      speed: may('integer'),
      'on-error': may(['report', 'ignore', 'enospc', 'stop', 'auto'], 103),
      'filter-node-name': may('string', 600),
      'auto-finalize': may('boolean', 301),
      'auto-dismiss': may('boolean', 301),
    },
    run: (machine, args) => machine.startStream(args),
  },
  'block-job-set-speed': {
    since: 101,
    args: { ...device, speed: must('integer') },
    run: (machine, args) => machine.blockJob(args.device).setSpeed(args.speed),
  },
  'block-job-cancel': {
    since: 101,
    args: { ...device, force: may('boolean', 103) },
    run: (machine, args) => machine.blockJob(args.device).cancel(args.force ?? false),
  },
  block_stream: {
    until: 101,
    args: { ...device, base: may('string') },
    run: (machine, args) => machine.startStream(args),
  },
  block_job_set_speed: {
    until: 101,
    args: { ...device, value: must('integer') },
    run: (machine, args) => machine.blockJob(args.device).setSpeed(args.value),
  },
  block_job_cancel: { until: 101, args: device, run: (machine, args) => machine.blockJob(args.device).cancel(true) },
}

/** The verbs of jobs in their two families, whose replies to an unknown id differ. @type {typeof streaming} */
const verbs = {
  'job-pause': { since: 300, args: id, run: (machine, args) => machine.job(args.id).pause() },
  'job-resume': { since: 300, args: id, run: (machine, args) => machine.job(args.id).resume() },
  'job-cancel': { since: 300, args: id, run: (machine, args) => machine.job(args.id).cancel(true) },
  'job-complete': { since: 300, args: id, run: (machine, args) => machine.job(args.id).check('complete') },
  'job-finalize': { since: 300, args: id, run: (machine, args) => machine.job(args.id).finalize() },
  'job-dismiss': { since: 300, args: id, run: (machine, args) => machine.job(args.id).dismiss() },
  'block-job-pause': older(103, device, (machine, args) => machine.blockJob(args.device).pause()),
  'block-job-resume': older(103, device, (machine, args) => machine.blockJob(args.device).resume()),
  'block-job-complete': older(103, device, (machine, args) => machine.blockJob(args.device).check('complete')),
  'block-job-finalize': older(212, id, (machine, args) => machine.blockJob(args.id).finalize()),
  'block-job-dismiss': older(212, id, (machine, args) => machine.blockJob(args.id).dismiss()),
}

/** @type {typeof streaming} */
const others = {
  stop: { only: 'system', run: (machine) => machine.setRunning(false) },
  cont: { only: 'system', run: (machine) => machine.setRunning(true) },
  quit: { run: (machine) => machine.quit() },
  migrate: { only: 'system', args: { uri: must('string') }, run: ({ migration }) => migration.begin() },
  migrate_cancel: { only: 'system', run: ({ migration }) => migration.cancel() },
  'human-monitor-command': {
    only: 'system',
    args: { 'command-line': must('string'), 'cpu-index': may('integer') },
    run: (machine, args) => runHuman(machine, args['command-line']),
  },
  'blockdev-add': { since: 209, takesAnything: true, run: addNode },
  'blockdev-reopen': { since: 601, args: { options: must('array') }, run: reopenNodes },
  'blockdev-del': { since: 209, args: { 'node-name': must('string') }, run: removeNode },
  'nbd-server-start': { since: 103, args: { addr: must('object') }, run: () => undefined },
  'nbd-server-stop': { since: 103, run: () => undefined },
  'block-export-add': {
    since: 502,
    takesAnything: true,
    run: (machine, args) => void machine.graph.find('', args['node-name']),
  },
  'block-export-del': { since: 502, args: { ...id, mode: may(['safe', 'hard']) }, run: () => undefined },
  'query-block-exports': { since: 502, run: () => [] },
}

/** @type {Map<string, CommandDefinition>} */
const table = new Map(Object.entries({ ...asking, ...streaming, ...verbs, ...others }))

/** What this QEMU does at this name, or undefined. @param {Machine} machine @param {string} name */
export function commandFor(machine, name) {
  const definition = table.get(name)
  return definition && isThere(machine, definition) ? definition : undefined
}

/** Carries the command out, or throws QmpFailure. @param {Machine} machine
 * @param {import('./types.js').Command} command @returns {unknown} */
export function carryOut(machine, { name, arguments: args }) {
  const definition = commandFor(machine, name)
  if (definition === undefined) throw new QmpFailure(`The command ${name} has not been found`, 'CommandNotFound')
  if (machine.version.refusesDeprecated && isDeprecated(machine, definition)) {
    throw new QmpFailure(`Deprecated command ${name} disabled by policy`, 'CommandNotFound')
  }
  checkArguments(definition, args, machine.versionNumber)
  return definition.run(machine, args) ?? {}
}

/** @param {CommandDefinition} definition @param {Readonly<Record<string, unknown>>} args @param {number} version */
function checkArguments({ args: known = {}, takesAnything }, args, version) {
  const there = Object.entries(known).filter(([, { since }]) => version >= since)
  for (const [name, { type, isRequired }] of there) {
    if (args[name] === undefined) {
      if (isRequired) throw new QmpFailure(`Parameter '${name}' is missing`)
    } else checkType(name, args[name], type)
  }
  const stranger = Object.keys(args).find((name) => !there.some(([other]) => other === name))
  if (stranger !== undefined && !takesAnything) throw new QmpFailure(`Parameter '${stranger}' is unexpected`)
}

/** @param {string} name @param {unknown} value @param {ArgumentDefinition['type']} type */
function checkType(name, value, type) {
  const expected = typeof type === 'string' ? type : 'string'
  const actual = Array.isArray(value) ? 'array' : Number.isSafeInteger(value) ? 'integer' : typeof value
  if (actual !== expected) throw new QmpFailure(`Invalid parameter type for '${name}', expected: ${expected}`)
  if (typeof type === 'string' || type.includes(String(value))) return
  throw new QmpFailure(`Parameter '${name}' does not accept value '${value}'`)
}

/** A verb of the family that 10.1 deprecates. @param {number} since
 * @param {Record<string, ArgumentDefinition>} args @param {CommandDefinition['run']} run */
function older(since, args, run) {
  return { since, deprecatedSince: 1001, args, run }
}

/** @param {Machine} machine @param {CommandDefinition} definition */
function isThere({ version: { program }, versionNumber }, { since = 0, until = Number.POSITIVE_INFINITY, only }) {
  return versionNumber >= since && versionNumber < until && (only ?? program) === program
}

/** @param {Machine} machine @param {CommandDefinition} definition */
function isDeprecated({ versionNumber }, { deprecatedSince = Number.POSITIVE_INFINITY }) {
  return versionNumber >= deprecatedSince
}

/** @param {Machine} machine */
function namesFor(machine) {
  const names = [...table].filter(([, definition]) => isThere(machine, definition)).map(([name]) => name)
  return ['qmp_capabilities', ...names]
}

/** @param {Machine['version']} version */
export function describeVersion({ major, minor, micro, package: packaged }) {
  return { qemu: { major, minor, micro }, package: packaged }
}

/** @param {Machine} machine */
function describeStatus({ runState: status, versionNumber }) {
  return { running: status === 'running', status, ...(versionNumber < 900 && { singlestep: false }) }
}

/** @param {Machine} machine */
function describeProcessors({ threadId }) {
  if (threadId === null) return []
  const props = { 'core-id': 0, 'thread-id': 0, 'socket-id': 0 }
  const place = { 'cpu-index': 0, 'qom-path': '/machine/unattached/device[0]', target: 'x86_64' }
  return [{ ...place, props, 'thread-id': threadId }]
}

/** @param {Machine} machine @param {(job: StreamJob) => object} describe */
function listJobs({ jobs }, describe) {
  return [...jobs.values()].map(describe)
}

/** The block job with what this version shows of it. @param {Machine} machine @param {StreamJob} job */
function describeBlockJob({ versionNumber }, job) {
  const { type, device: name, len, offset, speed, ...later } = job.describeAsBlockJob()
  return { type, device: name, len, offset, speed, ...(versionNumber >= 212 && later) }
}

/** The part of the schema that tells which commands and arguments there are. @param {Machine} machine */
function describeSchema(machine) {
  return [...table]
    .filter(([, definition]) => isThere(machine, definition))
    .flatMap(([name, definition], index) => {
      const there = Object.entries(definition.args ?? {}).filter(([, { since }]) => machine.versionNumber >= since)
      const members = there.map(([member, { isRequired }]) => {
        return { name: member, type: 'any', ...(!isRequired && { default: null }) }
      })
      const features = isDeprecated(machine, definition) ? { features: ['deprecated'] } : {}
      return [
        { name, 'meta-type': 'command', 'arg-type': String(index), 'ret-type': 'any', ...features },
        { name: String(index), 'meta-type': 'object', members },
      ]
    })
}

/** What the human monitor prints. @param {Machine} machine @param {string} line */
function runHuman({ graph, files }, line) {
  const flush = line.match(/^qemu-io (\S+) "?flush"?$/)
  if (flush === null) return `unknown command: '${line.split(' ', 1)}'\r\n`
  try {
    const name = flush[1] ?? ''
    graph.find(graph.drives.some((drive) => drive.device === name) ? name : '', name)
    files.flush()
    return ''
  } catch (failure) {
    if (!(failure instanceof QmpFailure)) throw failure
    return `Error: ${failure.message}\r\n`
  }
}

/** @param {Machine} machine @param {any} args */
function addNode(machine, args) {
  const { 'node-name': nodeName, driver: format, image, 'take-child-perms': permissions = [] } = args
  if (nodeName === undefined) throw new QmpFailure("'node-name' must be specified for the root node")
  if (format === 'blkdebug') return machine.addFlushFilter(image, nodeName, permissions.length > 0)
  const filename = args.file?.filename ?? args.filename ?? ''
  const stated = machine.files.headerOf(filename)
  machine.graph.add({ nodeName, filename, format, ...stated }, args['read-only'] ?? false)
}

/** Options are not looked at: what a reopen changes is not modelled. It flushes.
 * @param {Machine} machine @param {any} args */
function reopenNodes({ graph, files }, { options }) {
  for (const { 'node-name': nodeName } of options) {
    if (nodeName === undefined) throw new QmpFailure('node-name not specified')
    if (graph.named(nodeName) === undefined) throw new QmpFailure(`Failed to find node with node-name='${nodeName}'`)
    files.flush()
  }
}

/** @param {Machine} machine @param {any} args */
function removeNode({ graph }, { 'node-name': nodeName }) {
  const node = graph.named(nodeName)
  if (node === undefined) throw new QmpFailure(`Failed to find node with node-name='${nodeName}'`)
  if (!node.isExplicit) throw new QmpFailure(`Node ${nodeName} is not owned by the monitor`)
  const isUsed = graph.nodes.some((other) => other.backing === node || other.file === node)
  if (isUsed || graph.deviceOf(node) !== '') throw new QmpFailure(`Node ${nodeName} is in use`)
  graph.remove(node)
}
