// SPDX-License-Identifier: Apache-2.0
//
// The shapes that the peer is described with, and that a fault may hook into. Sizes are bytes.

/** One image of a chain. */
export interface NodeDescription {
  /** Absent: QEMU makes one up, '#blockNNN', and the node goes when nothing uses it. */
  readonly nodeName?: string
  readonly filename: string
  /** Default 'qcow2'. */
  readonly format?: string
  readonly virtualSize: number
  /** Internal snapshots, as `query-block` shows them. */
  readonly snapshots?: readonly { readonly id: string; readonly name: string }[]
  readonly extendedL2?: boolean
  /** The backing file as the header says it; default is the file name of the next node. */
  readonly backingFilename?: string
}

/** A chain, top first. With neither `device` nor `qdev` it is a node that no drive uses, as with -blockdev. */
export interface DiskDescription {
  readonly device?: string
  /** Path of the guest's device; `query-block` then lists the disk even where it has no `device`. */
  readonly qdev?: string
  readonly nodes: readonly NodeDescription[]
}

export interface VersionProfile {
  readonly major: number
  readonly minor: number
  readonly micro: number
  readonly package: string
  readonly program: 'system' | 'storage-daemon'
  readonly capabilities: readonly string[]
  /** As with `-compat deprecated-input=reject`. */
  readonly refusesDeprecated?: boolean
}

export interface PeerOptions {
  /** Path of the UNIX socket. */
  readonly path: string
  readonly disks?: readonly DiskDescription[]
  /** Default `versions.qemu72`. */
  readonly version?: VersionProfile
  readonly name?: string
  readonly uuid?: string
  /** As with -S: the guest has not been started. Default is a guest that runs. */
  readonly isStopped?: boolean
  /** Bytes that a running job gets on by in each tick; default 0: only `advance()` moves it. */
  readonly progressPerTick?: number
  /** Milliseconds between ticks; default 5. */
  readonly tickMs?: number
  readonly faults?: readonly Fault[]
}

export type Emit = (event: string, data?: Record<string, unknown>) => void

/** A command as it came. */
export interface Command {
  readonly name: string
  readonly arguments: Readonly<Record<string, unknown>>
  readonly id?: unknown
}

export interface Failure {
  readonly class?: string
  readonly desc: string
}

/** Something that goes out: the reply to a command, or an event. */
export type Outgoing =
  | { readonly kind: 'greeting'; readonly message: object }
  | { readonly kind: 'reply'; readonly message: object; readonly command: Command }
  | { readonly kind: 'event'; readonly message: object; readonly name: string; readonly data: Record<string, unknown> }

/** What a fault can do to the connection that it is called for. */
export interface Line {
  /** Ends the connection after what has been sent so far. */
  hangUp(): void
  /** Sends bytes as they are. */
  say(bytes: string | Uint8Array): void
}

/** One kind of misbehaviour. Faults are asked in order; what one passes on, the next one sees. */
export interface Fault {
  /** Before a command is carried out. 'ignore': as if it had never come. Otherwise what it is answered with. */
  readonly received?: (command: Command, line: Line) => 'ignore' | { return: unknown } | { error: Failure } | undefined
  /** For each message that goes out: call `next` now, later, or never. */
  readonly outgoing?: (message: Outgoing, next: () => void, line: Line) => void
  /** How a message is printed; default on one line. */
  readonly print?: (message: object) => string
  /** How the bytes of a message are cut into writes; default is one. */
  readonly cut?: (bytes: Buffer) => Buffer[]
}

/** What happened, in order: the commands that came and the events that were raised. */
export type LogEntry =
  | { readonly kind: 'command'; readonly name: string; readonly arguments: Readonly<Record<string, unknown>> }
  | { readonly kind: 'event'; readonly name: string; readonly data: Readonly<Record<string, unknown>> }

export interface PeerProcessOptions {
  /** Where the sockets `vm0.qmp`, `vm1.qmp`, ... are made. */
  readonly folder: string
  readonly count: number
  /** How many of them never greet, 0 to 1, spread evenly; default 0. */
  readonly muteFraction?: number
  /** How long a job lasts; default 100. */
  readonly jobTimeMs?: number
  /** Virtual size of each disk; default 1 GiB. */
  readonly diskBytes?: number
}
