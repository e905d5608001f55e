// SPDX-License-Identifier: Apache-2.0
//
// A connection: the way to domains, and the source of events.
//
// Events need no set-up and no loop of their own: they arrive on this thread's event loop. They carry libvirt's numbers
// and, for a failure, its reason. Closing is asynchronous and may be done twice. It ends the jobs of our own engine at
// a consistent point, and leaves QEMU's jobs to QEMU. `openConnection` takes the binding as an argument, so that tests
// can replace it; `connect` uses the real one.

import { EventEmitter } from 'node:events'
import { Domain, type JobFailure } from './domain.js'
import { warnOfFailure } from './job/block-job.js'
import { loadBinding, type NativeBinding, type NativeConnection, type NativeDomain } from './native.js'
import { checkString } from './options/argument-checks.js'
import { readConnect } from './options/connect-options.js'
import type { ConnectDescription, ConnectOptions } from './options/option-types.js'
import { called } from './results/errors.js'
import { toBlockJobEvent } from './results/results.js'
import type { BlockJobEvent } from './results/structs.js'

/** The events of a connection and what their listeners get. */
export interface ConnectionEvents {
  /** A job completed, failed or was cancelled. */
  blockJob: [event: BlockJobEvent]
  /** A job failed and nobody had awaited its `done`. */
  jobFailed: [failure: JobFailure]
}

/**
 * Opens a connection: `qemu:///embed?root=DIR` for a folder of domain XML, '' for the URI in `BLOCKPULL_URI` or
 * `LIBVIRT_DEFAULT_URI`, or `{ domains: [{ name, disks: [{ target, source, format }] }] }` for no folder at all.
 * Rejects with `INVALID_ARGUMENT` or `UNSUPPORTED` (the URI), `NOT_FOUND`, `ACCESS_DENIED` (the folder).
 *
 * ```js
 * const connection = await connect('qemu:///embed?root=/srv/vms')
 * const domain = await connection.lookupByName('vm0')
 * await connection.close()
 * ```
 */
export async function connect(target: string | ConnectDescription, options?: ConnectOptions): Promise<Connection> {
  return await openConnection(loadBinding, target, options)
}

/** `connect` over any binding. */
export async function openConnection(
  binding: () => NativeBinding,
  target: string | ConnectDescription,
  options?: ConnectOptions,
): Promise<Connection> {
  const request = readConnect(target, options)
  let connection: Connection | undefined
  const native = await called(() =>
    binding().openConnection(request, (event) => connection?.emit('blockJob', toBlockJobEvent(event))),
  )
  connection = new Connection(native)
  return connection
}

export class Connection extends EventEmitter<ConnectionEvents> {
  readonly uri: string
  readonly #native: NativeConnection
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(native: NativeConnection) {
    super()
    this.uri = native.uri
    this.#native = native
  }

  /** Rejects with `NO_DOMAIN`. */
  async lookupByName(name: string): Promise<Domain> {
    const request = { name: checkString('name', name), uuid: null }
    return this.#domain(await called(() => this.#native.lookupDomain(request)))
  }

  /** Rejects with `NO_DOMAIN`, or with `INVALID_ARGUMENT` if `uuid` is not a UUID. */
  async lookupByUUID(uuid: string): Promise<Domain> {
    const request = { name: null, uuid: checkString('uuid', uuid) }
    return this.#domain(await called(() => this.#native.lookupDomain(request)))
  }

  /** All domains. One that cannot be read or asked is included, and its `error` says why. */
  async listAllDomains(): Promise<Domain[]> {
    const domains = await called(() => this.#native.listDomains({ flags: 0 }))
    return domains.map((domain) => this.#domain(domain))
  }

  /** Defines a domain from libvirt XML, in place of one with its name. Rejects with `INVALID_ARGUMENT`, `READ_ONLY`. */
  async defineXML(xml: string): Promise<Domain> {
    const request = { xml: checkString('xml', xml) }
    return this.#domain(await called(() => this.#native.defineXml(request)))
  }

  /**
   * Ends the connection's own jobs at a consistent point and waits for them. Jobs in QEMU continue there, and the next
   * connection finishes them. A second call does nothing more.
   */
  async close(): Promise<void> {
    this.#closing ??= called(() => this.#native.close())
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #domain(domain: NativeDomain): Domain {
    return new Domain(this.#native, domain, (failure) => {
      if (!this.emit('jobFailed', failure)) warnOfFailure(failure.error)
    })
  }
}
