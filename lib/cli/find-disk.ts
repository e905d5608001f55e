// SPDX-License-Identifier: Apache-2.0
//
// The two ways to name what is on a host: `--connect URI DOMAIN DISK`, and `--qmp SOCKET DEVICE` for a QEMU with
// neither folder nor XML.
//
// A socket is a connection with one domain, which is named after it and has no disks of its own: the device has QEMU's
// name. If nobody listens on the socket, the command fails; a domain of a folder would be shut off. Connections are
// closed on every way out.

import { statSync } from 'node:fs'
import { basename } from 'node:path'
import type { Connection, ConnectOptions, Domain } from '../index.js'
import { type Arguments, type OptionSyntax, UsageError } from './args.js'
import type { Context } from './context.js'
import { CommandFailure } from './exit-codes.js'

export const connectionOptions: Readonly<Record<string, OptionSyntax>> = {
  connect: { value: 'URI', short: 'c', help: 'the connection; default: the URI in BLOCKPULL_URI' },
  qmp: { value: 'SOCKET', help: 'QMP socket of a running QEMU, in place of --connect' },
}

/** Opens the connection that the command line names, and closes it when `work` is over. */
export async function withConnection<T>(
  args: Arguments,
  context: Context,
  access: ConnectOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const socket = args.text('qmp')
  if (socket === '') throw new UsageError('--qmp is empty; expected the path of a QMP socket')
  if (socket !== undefined && args.has('connect')) {
    throw new UsageError('--connect and --qmp are both given; expected one of them')
  }
  const connection =
    socket === undefined
      ? await context.api.connect(args.text('connect') ?? '', access)
      : await context.api.connect({ ...access, domains: [{ name: nameOf(socket), qmp: socket, disks: [] }] })
  try {
    return await work(connection)
  } finally {
    await connection.close()
  }
}

/** The domains that the command line names: that of the socket, the one called `name`, or all. */
export async function findDomains(args: Arguments, connection: Connection, name?: string): Promise<Domain[]> {
  if (name !== undefined) return [await connection.lookupByName(name)]
  const domains = await connection.listAllDomains()
  const socket = args.text('qmp')
  if (socket === undefined || domains.some(({ state }) => state !== 'shut off')) return domains
  throw nobodyAt(socket)
}

/** The failure when nobody listens there. */
function nobodyAt(socket: string): CommandFailure {
  const about = statSync(socket, { throwIfNoEntry: false })
  if (about !== undefined && !about.isSocket()) {
    const what = about.isFile() ? 'a plain file' : about.isDirectory() ? 'a folder' : 'a pipe or a device'
    const hint = "expected the path of a running QEMU's QMP socket"
    return new CommandFailure('INVALID_ARGUMENT', `monitor '${socket}' is ${what}, not a socket; ${hint}`)
  }
  const hint = 'QEMU is not running, or its QMP socket has another path'
  return new CommandFailure('MONITOR_LOST', `nobody listens on monitor '${socket}': ${hint}`)
}

/** A disk that the command line names. */
export interface FoundDisk {
  readonly connection: Connection
  readonly domain: Domain
  /** As it was typed. */
  readonly disk: string
  /** What lines of output call it. */
  readonly label: string
}

/** `withConnection` for commands on one disk: DOMAIN DISK, or DEVICE with --qmp. */
export async function withDisk<T>(
  args: Arguments,
  context: Context,
  access: ConnectOptions,
  work: (found: FoundDisk) => Promise<T>,
): Promise<T> {
  const isSocket = args.has('qmp')
  const [first = '', second = ''] = isSocket ? args.exactly('DEVICE') : args.exactly('DOMAIN', 'DISK')
  const disk = isSocket ? first : second
  return await withConnection(args, context, access, async (connection) => {
    const [domain] = await findDomains(args, connection, isSocket ? undefined : first)
    if (domain === undefined) throw new CommandFailure('NO_DOMAIN', `domain '${first}' was not found`)
    return await work({ connection, domain, disk, label: labelOf(args, first, disk) })
  })
}

/** What lines of output call a disk. With --qmp the domain has no name that anybody gave it. */
export function labelOf(args: Arguments, domain: string, disk: string): string {
  return args.has('qmp') ? disk : `${domain} ${disk}`
}

/** A name that a domain may have: that of the socket's file. */
function nameOf(socket: string): string {
  return basename(socket, '.qmp').slice(0, 80) || 'guest'
}
