// SPDX-License-Identifier: Apache-2.0
//
// The versions of QEMU that a peer can pass for. A version is a number, major times 100 and minor, and commands,
// arguments and events state since (or until) when they are there; nothing else here differs between versions.

/** @typedef {import('./types.js').VersionProfile} VersionProfile */

/** @param {number} major @param {number} minor @param {Partial<VersionProfile>} [more] @returns {VersionProfile} */
const version = (major, minor, more) => ({
  ...{ major, minor, micro: 0, package: '', program: 'system', capabilities: major < 3 ? [] : ['oob'] },
  ...more,
})

export const versions = {
  /** 2011, as in RHEL 6: block_stream and its family, one job for each device, no node names. */
  qemu1: version(1, 0),
  /** The oldest that has everything a safe pull needs. */
  qemu42: version(4, 2),
  /** The first with `bottom` and with the filter node of a stream. */
  qemu60: version(6, 0),
  qemu72: version(7, 2, { micro: 22, package: 'Debian 1:7.2+dfsg-7+deb12u18' }),
  /** Deprecates block-job-pause, -resume, -complete, -dismiss and -finalize; they still work. */
  qemu101: version(10, 1),
  /** The same where the management tool asked for deprecated commands to be refused. */
  qemu101Strict: version(10, 1, { refusesDeprecated: true }),
  /** qemu-storage-daemon: no guest, no human monitor. */
  storageDaemon: version(7, 2, { program: 'storage-daemon', capabilities: ['oob'] }),
}

/** @param {VersionProfile} profile */
export const numberOf = (profile) => profile.major * 100 + profile.minor

/** Events that are not of all times. @type {Record<string, number>} */
const eventsSince = { JOB_STATUS_CHANGE: 300, BLOCK_JOB_PENDING: 212, BLOCK_JOB_ERROR: 103 }

/** @param {VersionProfile} profile @param {string} event */
export const hasEvent = (profile, event) => numberOf(profile) >= (eventsSince[event] ?? 0)
