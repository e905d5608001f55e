// SPDX-License-Identifier: Apache-2.0
//
// The entry `blockpull/libvirt`: libvirt's calls with libvirt's names, arguments, units and numbers.
//
// Code written in C or Python against libvirt ports line by line: put `await` before each call. A call that
// returns -1 in C rejects with a BlockPullError here, whose `virCode` and `virDomain` are libvirt's; where C fills
// a struct, the struct is returned, and `null` where C returns 0. Flags go to the addon as they are and are judged
// there, as the C library does it; only JavaScript types are checked here.

import {
  checkConnect,
  checkDomain,
  openVirConnect,
  type VirBlockJobCallback,
  type VirConnect,
  VirDomain,
} from './libvirt/handles.js'
import { loadBinding, type NativeBlockPullRequest } from './native.js'
import * as check from './options/argument-checks.js'
import type { SizeOptions } from './options/option-types.js'
import { readBigint } from './options/options.js'
import { called } from './results/errors.js'
import { sizeReader, toBlockJobInfo } from './results/results.js'
import type { VirDomainBlockJobInfo } from './results/structs.js'

export * from './libvirt/constants.js'
export * from './libvirt/errors.js'
export type { VirBlockJobCallback, VirConnect, VirDomain } from './libvirt/handles.js'
export { BlockPullError } from './results/errors.js'
export type { VirDomainBlockJobInfo } from './results/structs.js'

const maxFlags = 2n ** 32n - 1n
const maxUnsignedLong = 2n ** 64n - 1n

function readFlags(flags: unknown): number {
  return Number(check.checkWhole('flags', flags, maxFlags, 'an unsigned 32-bit number, VIR_* constants or-ed together'))
}

function readBandwidth(bandwidth: unknown): bigint {
  return check.checkWhole('bandwidth', bandwidth, maxUnsignedLong, 'a whole number, of MiB/s unless a flag says bytes')
}

/** `null` stands for the URI in `BLOCKPULL_URI` or `LIBVIRT_DEFAULT_URI`; `VIR_ERR_NO_CONNECT` without either. */
export async function virConnectOpen(name?: string | null): Promise<VirConnect> {
  return await openVirConnect(loadBinding, name, false)
}

/** As `virConnectOpen`; every call that changes something is refused with `VIR_ERR_OPERATION_DENIED`. */
export async function virConnectOpenReadOnly(name?: string | null): Promise<VirConnect> {
  return await openVirConnect(loadBinding, name, true)
}

/** Ends the connection's jobs at a consistent point and waits for them. Resolves to 0. */
export async function virConnectClose(conn: VirConnect): Promise<number> {
  await checkConnect(conn).close()
  return 0
}

export async function virDomainLookupByName(conn: VirConnect, name: string): Promise<VirDomain> {
  const { native } = checkConnect(conn)
  const request = { name: check.checkString('name', name), uuid: null }
  return new VirDomain(conn, await called(() => native.lookupDomain(request)))
}

export async function virDomainLookupByUUIDString(conn: VirConnect, uuidstr: string): Promise<VirDomain> {
  const { native } = checkConnect(conn)
  const request = { name: null, uuid: check.checkString('uuidstr', uuidstr) }
  return new VirDomain(conn, await called(() => native.lookupDomain(request)))
}

/** All domains, or with `VIR_CONNECT_LIST_DOMAINS_ACTIVE` or `_INACTIVE` those; both together are all again. */
export async function virConnectListAllDomains(conn: VirConnect, flags = 0): Promise<VirDomain[]> {
  const { native } = checkConnect(conn)
  const request = { flags: readFlags(flags) }
  const domains = await called(() => native.listDomains(request))
  return domains.map((domain) => new VirDomain(conn, domain))
}

export async function virDomainDefineXML(conn: VirConnect, xml: string): Promise<VirDomain> {
  const { native } = checkConnect(conn)
  const request = { xml: check.checkString('xml', xml) }
  return new VirDomain(conn, await called(() => native.defineXml(request)))
}

/** From the handle, at once. */
export function virDomainGetName(dom: VirDomain): string {
  return checkDomain(dom).name
}

/** From the handle, at once: the id if the domain ran when it was looked up, otherwise -1. */
export function virDomainGetID(dom: VirDomain): number {
  return checkDomain(dom).id
}

/** From the handle, at once. */
export function virDomainGetUUIDString(dom: VirDomain): string {
  return checkDomain(dom).uuid
}

/** The XML as it is; libvirt's four flags are taken, and make no difference to a domain kept as a file. */
export async function virDomainGetXMLDesc(dom: VirDomain, flags = 0): Promise<string> {
  const { conn, uuid } = checkDomain(dom)
  const request = { uuid, flags: readFlags(flags) }
  return await called(() => conn.native.domainXml(request))
}

/**
 * Starts to fill a disk from its whole backing chain; resolves to 0 once the job runs. Events 8 and 16 report its end.
 * `bandwidth` is in MiB/s, in bytes a second with `VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES`; 0 is no limit.
 */
export async function virDomainBlockPull(
  dom: VirDomain,
  disk: string,
  bandwidth: number | bigint = 0,
  flags = 0,
): Promise<number> {
  return await startPull(dom, {
    call: 'virDomainBlockPull',
    disk: check.checkString('disk', disk),
    base: null,
    bandwidth: readBandwidth(bandwidth),
    flags: readFlags(flags),
  })
}

/** As `virDomainBlockPull`, down to `base`, which stays as backing file; `null` is no base. */
export async function virDomainBlockRebase(
  dom: VirDomain,
  disk: string,
  base: string | null,
  bandwidth: number | bigint = 0,
  flags = 0,
): Promise<number> {
  return await startPull(dom, {
    call: 'virDomainBlockRebase',
    disk: check.checkString('disk', disk),
    base: check.checkStringOrNull('base', base),
    bandwidth: readBandwidth(bandwidth),
    flags: readFlags(flags),
  })
}

/** The calls of this module offer no way to give up a start. */
const neverGivenUp = 0n

/** Options that libvirt's calls do not have. */
const ours = {
  exactBase: false,
  detached: false,
  onError: 'report',
  trailingData: 'refuse',
  siblings: null,
  backingFormat: null,
  backingFormats: null,
  ticket: neverGivenUp,
} as const

async function startPull(
  dom: VirDomain,
  request: Pick<NativeBlockPullRequest, 'call' | 'disk' | 'base' | 'bandwidth' | 'flags'>,
): Promise<number> {
  const { conn, uuid } = checkDomain(dom)
  await called(() => conn.native.blockPull({ uuid, ...request, ...ours }, () => undefined))
  return 0
}

/**
 * The job of a disk, or `null` where C returns 0. `cur` and `end` are counted as libvirt does, quirks included: a
 * running pull never shows `cur === end`. With `{ bigint: true }` sizes come as bigints.
 */
export function virDomainGetBlockJobInfo(
  dom: VirDomain,
  disk: string,
  flags: number,
  options: SizeOptions & { readonly bigint: true },
): Promise<VirDomainBlockJobInfo<bigint> | null>
export function virDomainGetBlockJobInfo(
  dom: VirDomain,
  disk: string,
  flags?: number,
  options?: SizeOptions,
): Promise<VirDomainBlockJobInfo | null>
export async function virDomainGetBlockJobInfo(
  dom: VirDomain,
  disk: string,
  flags = 0,
  options?: SizeOptions,
): Promise<VirDomainBlockJobInfo | VirDomainBlockJobInfo<bigint> | null> {
  const { conn, uuid } = checkDomain(dom)
  const request = { uuid, disk: check.checkString('disk', disk), flags: readFlags(flags) }
  const size = sizeReader<number>(readBigint('virDomainGetBlockJobInfo', options))
  const info = await called(() => conn.native.blockJobInfo(request))
  if (info === null) return null
  const { type, bandwidth, cur, end } = toBlockJobInfo(info, size)
  return { type, bandwidth, cur, end }
}

/** Sets the limit of a disk's job, in the units of `virDomainBlockPull`; 0 lifts it. Resolves to 0. */
export async function virDomainBlockJobSetSpeed(
  dom: VirDomain,
  disk: string,
  bandwidth: number | bigint,
  flags = 0,
): Promise<number> {
  const { conn, uuid } = checkDomain(dom)
  const what = { uuid, disk: check.checkString('disk', disk) }
  const request = { ...what, bandwidth: readBandwidth(bandwidth), flags: readFlags(flags) }
  await called(() => conn.native.blockJobSetSpeed(request))
  return 0
}

/** Ends the job of a disk; resolves to 0 when it has ended, or with `VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC` at once. */
export async function virDomainBlockJobAbort(dom: VirDomain, disk: string, flags = 0): Promise<number> {
  const { conn, uuid } = checkDomain(dom)
  const request = { uuid, disk: check.checkString('disk', disk), flags: readFlags(flags) }
  await called(() => conn.native.blockJobAbort(request))
  return 0
}

/** Registers for `VIR_DOMAIN_EVENT_ID_BLOCK_JOB` or `_BLOCK_JOB_2`, of one domain or (`null`) of all; gives an id. */
export async function virConnectDomainEventRegisterAny(
  conn: VirConnect,
  dom: VirDomain | null,
  eventID: number,
  callback: VirBlockJobCallback,
  opaque?: unknown,
): Promise<number> {
  const connection = checkConnect(conn)
  const filter = dom === null ? null : checkDomain(dom)
  const id = check.checkInt('eventID', eventID, 'one of VIR_DOMAIN_EVENT_ID_*')
  return await connection.register(filter, id, check.checkFunction('callback', callback, 'a function'), opaque)
}

/** Ends a registration. Resolves to 0. */
export async function virConnectDomainEventDeregisterAny(conn: VirConnect, callbackID: number): Promise<number> {
  const id = check.checkInt('callbackID', callbackID, 'an id from a registration')
  await checkConnect(conn).deregister(id)
  return 0
}
