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
  /**
   * The backing file as the header says it; default is the file name of the next node. `null`: it states none, as
   * the image that -drive snapshot=on puts over a disk.
   */
  readonly backingFilename?: string | null
  /** As with cache=unsafe: a flush is answered and does nothing. */
  readonly noFlush?: boolean
  /** The real file, where QEMU's name for it leads to none here, or to another one. */
  readonly path?: string
}

/** A node that changes nothing of what is read through it, over the next one in the list. */
export interface FilterDescription {
  /** Its driver: 'throttle', 'copy-on-read', 'copy-before-write', ... */
  readonly filter: string
  readonly nodeName?: string
  /** One of QEMU's own, which `query-block` and `query-blockstats` leave out. */
  readonly isImplicit?: boolean
}

/** A chain, top first. With neither `device` nor `qdev` it is a node that no drive uses, as with -blockdev. */
export interface DiskDescription {
  readonly device?: string
  /** Path of the guest's device; `query-block` then lists the disk even where it has no `device`. */
  readonly qdev?: string
  readonly nodes: readonly (NodeDescription | FilterDescription)[]
  /**
   * Its images are real files, which a stream fills and lets go of as QEMU does: 'held' are open in this process,
   * the top for writing; 'unheld' are not, as if QEMU were where this process cannot look.
   */
  readonly files?: 'held' | 'unheld'
}

/** What a QEMU does wrong to real files while it answers as if all were right. */
export interface FileLie {
  /** The image of this node is filled and let go of in place of the top. */
  readonly fills?: string
  /** The job counts, and copies nothing. */
  readonly skipsWrites?: boolean
  /** What makes the copy readable, the L1 and L2 tables, is in the file only after so many flushes were answered. */
  readonly flushesUntilEntries?: number
  /** What the header states after the end: 'unchanged' is what it did before. */
  readonly header?: 'unchanged' | { readonly states: string }
}

/** How far a migration is, in order; `switchover` is where the guest stands and its images are inactive. */
export type MigrationPhase = 'setup' | 'active' | 'switchover' | 'completed' | 'postmigrate'

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
  /** As `query-status` says it, where that is neither of the two: 'inmigrate', 'io-error', ... */
  readonly runState?: string
  /** Of the guest's one processor, as `query-cpus-fast` tells it; default is this process; `null`: there is none. */
  readonly threadId?: number | null
  /** What it does wrong to the real files of its disks. */
  readonly lie?: FileLie
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
  /** In place of that disk, and what is done wrong to their files; for one peer whose files another process holds. */
  readonly disks?: readonly DiskDescription[]
  readonly lie?: FileLie
}
