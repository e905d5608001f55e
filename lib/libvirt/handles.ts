// SPDX-License-Identifier: Apache-2.0
//
// What stands for C's virConnectPtr and virDomainPtr in `blockpull/libvirt`, and the event registrations.
//
// A handle is opaque: it says which connection and which domain, and calls take it as their first argument as in
// C. A registration is a number, small and growing, from 0 on each connection. One change of a job is told as
// event 8 (path of the active layer) and then as event 16 (target), as libvirt does; 8 is left out where there is
// no local path. The rules for registering are libvirt's, with its words and numbers.

import type { NativeBinding, NativeBlockJobEvent, NativeConnection } from '../native.js'
import { checkStringOrNull, wrongType } from '../options/argument-checks.js'
import { uriFromEnvironment } from '../options/connect-options.js'
import { type BlockPullError, called, refusal } from '../results/errors.js'
import {
  VIR_DOMAIN_EVENT_ID_BLOCK_JOB,
  VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
  VIR_DOMAIN_EVENT_ID_LAST,
} from './constants.js'
import {
  VIR_ERR_INVALID_ARG,
  VIR_ERR_INVALID_CONN,
  VIR_ERR_NO_SUPPORT,
  VIR_FROM_DOMAIN,
  VIR_FROM_NONE,
  VIR_FROM_QEMU,
} from './errors.js'

/**
 * Gets the events of block jobs: `disk` is a path for event 8 and a target for event 16, `type` one of
 * `VIR_DOMAIN_BLOCK_JOB_TYPE_*`, `status` one of `VIR_DOMAIN_BLOCK_JOB_COMPLETED`, `_FAILED` and `_CANCELED`.
 */
export type VirBlockJobCallback = (
  conn: VirConnect,
  dom: VirDomain,
  disk: string,
  type: number,
  status: number,
  opaque: unknown,
) => void

interface Registration {
  readonly dom: VirDomain | null
  readonly eventId: number
  readonly callback: VirBlockJobCallback
  readonly opaque: unknown
}

/** C's virConnectPtr. */
export class VirConnect {
  /** @internal */
  readonly native: NativeConnection
  readonly #registrations = new Map<number, Registration>()
  #nextId = 0
  #isClosed = false

  /** @internal */
  constructor(native: NativeConnection) {
    this.native = native
  }

  /** @internal */
  register(dom: VirDomain | null, eventId: number, callback: VirBlockJobCallback, opaque: unknown): number {
    const call = 'virConnectDomainEventRegisterAny'
    this.#checkOpen(call)
    if (dom !== null && dom.conn !== this) {
      throw invalid(VIR_FROM_DOMAIN, `domain '${dom.name}' in ${call} must match connection`)
    }
    if (eventId >= VIR_DOMAIN_EVENT_ID_LAST) {
      throw invalid(VIR_FROM_DOMAIN, `eventID must be less than ${VIR_DOMAIN_EVENT_ID_LAST}`)
    }
    if (eventId !== VIR_DOMAIN_EVENT_ID_BLOCK_JOB && eventId !== VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2) {
      const message = `this function is not supported by the connection driver: ${call} of event ${eventId}`
      throw refusal(
        'UNSUPPORTED',
        VIR_ERR_NO_SUPPORT,
        VIR_FROM_DOMAIN,
        `${message}; the events of block jobs are 8 and 16`,
      )
    }
    for (const known of this.#registrations.values()) {
      if (known.eventId === eventId && known.callback === callback && known.dom?.uuid === dom?.uuid) {
        throw invalid(VIR_FROM_NONE, 'invalid argument: event callback already tracked')
      }
    }
    const id = this.#nextId
    this.#nextId += 1
    this.#registrations.set(id, { dom, eventId, callback, opaque })
    return id
  }

  /** @internal */
  deregister(id: number): void {
    this.#checkOpen('virConnectDomainEventDeregisterAny')
    if (this.#registrations.delete(id)) return
    throw invalid(VIR_FROM_NONE, `invalid argument: event callback id ${id} not registered`)
  }

  /** Closes as often as it is asked to. @internal */
  async close(): Promise<void> {
    this.#isClosed = true
    await called(() => this.native.close())
  }

  #checkOpen(call: string): void {
    if (!this.#isClosed) return
    const message = `invalid connection pointer in ${call}: the connection is closed`
    throw refusal('CLOSED', VIR_ERR_INVALID_CONN, VIR_FROM_DOMAIN, message)
  }

  /** @internal */
  deliver(event: NativeBlockJobEvent): void {
    const dom = new VirDomain(this, event.domain.name, event.domain.uuid)
    if (event.path.startsWith('/')) this.#tell(VIR_DOMAIN_EVENT_ID_BLOCK_JOB, dom, event.path, event)
    this.#tell(VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, dom, event.target, event)
  }

  #tell(eventId: number, dom: VirDomain, disk: string, { type, status }: NativeBlockJobEvent): void {
    for (const known of [...this.#registrations.values()]) {
      if (known.eventId !== eventId || (known.dom !== null && known.dom.uuid !== dom.uuid)) continue
      known.callback(this, dom, disk, type, status, known.opaque)
    }
  }
}

/** C's virDomainPtr. */
export class VirDomain {
  /** @internal */
  readonly conn: VirConnect
  /** @internal */
  readonly name: string
  /** @internal */
  readonly uuid: string

  /** @internal */
  constructor(conn: VirConnect, name: string, uuid: string) {
    this.conn = conn
    this.name = name
    this.uuid = uuid
  }
}

/** virConnectOpen and its read-only twin over any binding. */
export async function openVirConnect(
  binding: () => NativeBinding,
  name: string | null | undefined,
  readOnly: boolean,
): Promise<VirConnect> {
  const given = checkStringOrNull('name', name)
  const uri = given === null || given === '' ? uriFromEnvironment(process.env) : given
  const timeouts = { connectTimeout: null, queryTimeout: null, changeTimeout: null }
  const request = { uri, domains: null, readOnly, backingPaths: null, ...timeouts }
  let conn: VirConnect | undefined
  const native = await called(() => binding().openConnection(request, (event) => conn?.deliver(event)))
  conn = new VirConnect(native)
  return conn
}

export function checkConnect(conn: unknown): VirConnect {
  if (conn instanceof VirConnect) return conn
  throw wrongType('conn', conn, 'a connection that virConnectOpen gave')
}

export function checkDomain(dom: unknown): VirDomain {
  if (dom instanceof VirDomain) return dom
  throw wrongType('dom', dom, 'a domain that virDomainLookupByName or its like gave')
}

/** An argument that libvirt would refuse, in its own words; said here because it concerns nothing below. */
function invalid(virDomain: number, message: string): BlockPullError {
  return refusal('INVALID_ARGUMENT', VIR_ERR_INVALID_ARG, virDomain, message)
}

/** Refuses flags outside `known`, as every libvirt driver does. */
export function refuseUnknownFlags(call: string, flags: number, known: number): void {
  const unknown = (flags & ~known) >>> 0
  if (unknown === 0) return
  throw invalid(VIR_FROM_QEMU, `unsupported flags (0x${unknown.toString(16)}) in function ${call}`)
}
