// SPDX-License-Identifier: Apache-2.0
//
// The counterparts of C's virConnectPtr and virDomainPtr in `blockpull/libvirt`, and the event registrations.
//
// A handle is opaque. It names a connection or a domain, and calls take it as their first argument, as in C. The addon
// keeps the registrations and their rules (`native/virt/calls/event_book.h`); this file keeps the callbacks.

import type { NativeBinding, NativeBlockJobEvent, NativeConnection } from '../native.js'
import { checkStringOrNull, wrongType } from '../options/argument-checks.js'
import { called } from '../results/errors.js'

/**
 * Receives the events of block jobs: `disk` is a path for event 8 and a target for event 16, `type` one of
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
  readonly callback: VirBlockJobCallback
  readonly opaque: unknown
}

/** A number for each function, by which the addon recognises a registered callback. */
const callbackNumbers = new WeakMap<VirBlockJobCallback, bigint>()
let lastCallbackNumber = 0n

function numberOf(callback: VirBlockJobCallback): bigint {
  const known = callbackNumbers.get(callback)
  if (known !== undefined) return known
  lastCallbackNumber += 1n
  callbackNumbers.set(callback, lastCallbackNumber)
  return lastCallbackNumber
}

/** C's virConnectPtr. */
export class VirConnect {
  /** @internal */
  readonly native: NativeConnection
  readonly #registrations = new Map<number, Registration>()

  /** @internal */
  constructor(native: NativeConnection) {
    this.native = native
  }

  /** @internal */
  async register(
    dom: VirDomain | null,
    eventId: number,
    callback: VirBlockJobCallback,
    opaque: unknown,
  ): Promise<number> {
    const request = {
      eventId,
      domainUuid: dom?.uuid ?? null,
      domainName: dom?.name ?? null,
      isOfOtherConnection: dom !== null && dom.conn !== this,
      callback: numberOf(callback),
    }
    const id = await called(() => this.native.registerEvent(request))
    this.#registrations.set(id, { callback, opaque })
    return id
  }

  /** @internal */
  async deregister(id: number): Promise<void> {
    // At once: a callback that ends another's registration keeps this event from it.
    this.#registrations.delete(id)
    await called(() => this.native.deregisterEvent({ id }))
  }

  /** May be called more than once. @internal */
  async close(): Promise<void> {
    await called(() => this.native.close())
  }

  /** Calls the registered callbacks, except those that an earlier callback deregistered. @internal */
  deliver(event: NativeBlockJobEvent): void {
    const dom = new VirDomain(this, event.domain)
    for (const { disk, registrations } of event.notices) {
      for (const id of registrations) {
        const known = this.#registrations.get(id)
        try {
          known?.callback(this, dom, disk, event.type, event.status, known.opaque)
        } catch (thrown) {
          // An uncaught exception, as from any listener; the next callback hears the event all the same.
          queueMicrotask(() => {
            throw thrown
          })
        }
      }
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
  readonly id: number

  /** @internal */
  constructor(conn: VirConnect, domain: { readonly name: string; readonly uuid: string; readonly id: number }) {
    this.conn = conn
    this.name = domain.name
    this.uuid = domain.uuid
    this.id = domain.id
  }
}

/** virConnectOpen and its read-only twin over any binding. */
export async function openVirConnect(
  binding: () => NativeBinding,
  name: string | null | undefined,
  readOnly: boolean,
): Promise<VirConnect> {
  const uri = checkStringOrNull('name', name) ?? ''
  const timeouts = { connectTimeout: null, queryTimeout: null, changeTimeout: null }
  const request = { uri, domains: null, readOnly, backingPaths: null, ...timeouts }
  let conn: VirConnect | undefined
  const native = await called(() => binding().openConnection(request, (event) => conn?.deliver(event)))
  conn = new VirConnect(native)
  return conn
}

export function checkConnect(conn: unknown): VirConnect {
  if (conn instanceof VirConnect) return conn
  throw wrongType('conn', conn, 'a connection from virConnectOpen')
}

export function checkDomain(dom: unknown): VirDomain {
  if (dom instanceof VirDomain) return dom
  throw wrongType('dom', dom, 'a domain from virDomainLookupByName or a similar call')
}
