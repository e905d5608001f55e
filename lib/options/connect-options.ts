// SPDX-License-Identifier: Apache-2.0
//
// What `connect` takes, made into a native request: a URI, or domains described in code.
//
// The addon checks the meaning of the URI (its scheme, its folder); this file checks only its shape. Keeps no state.

import type { NativeConnectRequest, NativeDiskDescription, NativeDomainDescription } from '../native.js'
import type { Disk } from '../results/structs.js'
import * as check from './argument-checks.js'
import type { ConnectDescription, ConnectOptions, DomainDescription, MonitorTimeouts } from './option-types.js'
import { readFileFormats } from './options.js'

const accessKeys = ['readOnly', 'backingPaths', 'monitorTimeouts'] as const

export function readConnect(
  target: string | ConnectDescription,
  options: ConnectOptions | undefined,
): NativeConnectRequest {
  if (typeof target === 'string') {
    const given = check.checkOptions('connect', options, accessKeys)
    return { uri: check.checkString('URI', target), domains: null, ...readAccess(given) }
  }
  if (typeof target !== 'object' || target === null) {
    throw check.wrongType('URI', target, "a string such as 'qemu:///embed?root=/srv/vms', or { domains: [...] }")
  }
  if (options !== undefined) {
    throw check.wrongType('options of connect', options, 'nothing, since the description beside it takes them')
  }
  const given = check.checkOptions('connect', target, ['domains', ...accessKeys])
  if (!Array.isArray(given.domains)) throw check.wrongType('domains', given.domains, 'an array of { name, disks }')
  const domains = given.domains.map((domain, index) => readDomain(`domains[${index}]`, domain))
  return { uri: null, domains, ...readAccess(given) }
}

function readAccess(given: ConnectOptions): Omit<NativeConnectRequest, 'uri' | 'domains'> {
  const { connect, query, change } = readTimeouts(given.monitorTimeouts)
  return {
    connectTimeout: readTimeout('connect', connect),
    queryTimeout: readTimeout('query', query),
    changeTimeout: readTimeout('change', change),
    readOnly: check.checkBoolean('readOnly', given.readOnly),
    backingPaths: check.checkPathsOrNull('backingPaths', given.backingPaths, 'an array of folders'),
  }
}

function readTimeouts(timeouts: MonitorTimeouts | undefined): MonitorTimeouts {
  return check.checkOptions('monitorTimeouts', timeouts, ['connect', 'query', 'change'])
}

/** A day is longer than anybody waits. */
function readTimeout(name: string, value: number | undefined): bigint | null {
  if (value === undefined) return null
  const most = 86_400_000n
  return check.checkWhole(`monitorTimeouts.${name}`, value, most, 'a whole number of milliseconds up to a day')
}

function readDomain(name: string, description: DomainDescription): NativeDomainDescription {
  check.checkObject(name, description, 'an object { name, disks }')
  const given = check.checkOptions(name, description, ['name', 'uuid', 'qmp', 'disks'])
  if (!Array.isArray(given.disks)) {
    throw check.wrongType(`${name}.disks`, given.disks, 'an array of { target, source, format }')
  }
  return {
    name: check.checkFilled(`${name}.name`, given.name, 'a string'),
    uuid: check.checkStringOrNull(`${name}.uuid`, given.uuid),
    qmp: check.checkStringOrNull(`${name}.qmp`, given.qmp),
    disks: given.disks.map((disk: Disk, index) => readDisk(`${name}.disks[${index}]`, disk)),
  }
}

function readDisk(name: string, disk: Disk): NativeDiskDescription {
  check.checkObject(name, disk, 'an object { target, source, format }')
  const given = check.checkOptions(name, disk, ['target', 'source', 'format', 'backingFormats'])
  return {
    target: check.checkFilled(`${name}.target`, given.target, 'a string'),
    source: check.checkString(`${name}.source`, check.checkPath(`${name}.source`, given.source)),
    format: check.checkFilled(`${name}.format`, given.format, 'a string'),
    backingFormats: readFileFormats(`${name}.backingFormats`, given.backingFormats) ?? [],
  }
}
