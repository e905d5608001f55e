// SPDX-License-Identifier: Apache-2.0
//
// The errors that callers see: BlockPullError with its codes, and AbortError for an aborted signal.
//
// The addon rejects with plain records (`NativeFailure`), since an error object built there would have no useful
// stack. Only this file turns such a record into a BlockPullError. `called` awaits one native call inside the async
// method of the caller, so that V8's async stack names the line that made the call. Codes are the contract and never
// change their meaning; messages are for people and may change at any time. TypeErrors and RangeErrors for wrong
// arguments come from `argument-checks.ts` and its users.

import os from 'node:os'
import type { NativeFailure } from '../native.js'

/** Every `code` a BlockPullError can have. */
export const errorCodes = [
  'CANCELLED',
  'JOB_FAILED',
  'JOB_VANISHED',
  'JOB_ACTIVE',
  'NO_JOB',
  'NO_DOMAIN',
  'NO_DISK',
  'NO_BASE',
  'LOCKED',
  'READ_ONLY',
  'NO_SPACE',
  'IO',
  'NOT_FOUND',
  'ACCESS_DENIED',
  'POLICY',
  'FORMAT_UNKNOWN',
  'FEATURE_UNSUPPORTED',
  'IMAGE_CORRUPT',
  'CHAIN_LOOP',
  'MONITOR_BUSY',
  'MONITOR_LOST',
  'MONITOR_TIMEOUT',
  'GUEST_BUSY',
  'QEMU_ERROR',
  'OVERFLOW',
  'INVALID_ARGUMENT',
  'UNSUPPORTED',
  'CLOSED',
] as const

/** One of `errorCodes`. */
export type ErrorCode = (typeof errorCodes)[number]

/** Codes after which the same call may succeed later, unchanged. */
const retryableCodes: ReadonlySet<string> = new Set<ErrorCode>([
  'JOB_VANISHED',
  'JOB_ACTIVE',
  'LOCKED',
  'NO_SPACE',
  'MONITOR_BUSY',
  'MONITOR_LOST',
  'MONITOR_TIMEOUT',
  'GUEST_BUSY',
])

/** A registered symbol: every copy of this package in a process brands its errors alike. */
const brand = Symbol.for('blockpull.BlockPullError')

/** QEMU's part in a failure. Source: the QMP reply, `{ error: { class, desc } }`. */
export interface QemuOrigin {
  /** 'block-stream' */
  readonly command: string
  /** 'GenericError'; `null` if QEMU has not answered. */
  readonly class: string | null
  /** QEMU's sentence; `null` if QEMU has not answered. */
  readonly message: string | null
}

/** The argument of `new BlockPullError`: the message, the codes, and whatever else is known. */
export interface BlockPullErrorDetails {
  readonly code: ErrorCode
  readonly message: string
  readonly virCode: number
  readonly virDomain: number
  readonly virLevel?: number
  readonly errno?: number | null
  readonly syscall?: string | null
  readonly qemu?: QemuOrigin | null
  readonly path?: string | null
  readonly pathBytes?: string | null
  readonly offset?: bigint | null
  readonly holder?: string | null
  readonly bytesNeeded?: bigint | null
  readonly hint?: string | null
  readonly cause?: unknown
}

/** Why a call was refused or a job did not complete. Match `code`, show `message`. */
export class BlockPullError extends Error {
  readonly code: ErrorCode
  /** libvirt's virErrorNumber, `VIR_ERR_*` of `blockpull/libvirt`. */
  readonly virCode: number
  /** libvirt's virErrorDomain, `VIR_FROM_*` of `blockpull/libvirt`. */
  readonly virDomain: number
  /** libvirt's virErrorLevel, 2: an error. */
  readonly virLevel: number
  /** Positive errno of the system call that failed, or `null`. */
  readonly errno: number | null
  /** That system call, 'pwrite' for example, or `null`. */
  readonly syscall: string | null
  /** The command that QEMU refused or did not answer, and QEMU's answer; or `null`. */
  readonly qemu: QemuOrigin | null
  /** The file in question, or `null`. */
  readonly path: string | null
  /** The bytes of a `path` that is not UTF-8, in base64; otherwise `null`. */
  readonly pathBytes: string | null
  /** Byte offset in `path`, or `null`; rounded above `Number.MAX_SAFE_INTEGER`. */
  readonly offset: number | null
  /** Who has the image, as 'pid 4711 (qemu-system-x86)', or `null`. */
  readonly holder: string | null
  /**
   * On a full disk, about how many bytes the pull still has to write; free space is not subtracted. `null` for other
   * failures; rounded above `Number.MAX_SAFE_INTEGER`.
   */
  readonly bytesNeeded: number | null
  /**
   * What else may help, in a sentence of its own, or `null`. If libvirt has a message, `message` is libvirt's to the
   * letter. What QEMU said, or which disks it has when one was not found, is then here.
   */
  readonly hint: string | null
  /** Whether the same call may succeed later. */
  readonly retryable: boolean

  static {
    BlockPullError.prototype.name = 'BlockPullError'
    Object.defineProperty(BlockPullError.prototype, brand, { value: true })
  }

  constructor(details: BlockPullErrorDetails) {
    super(details.message, details.cause == null ? undefined : { cause: details.cause })
    this.code = details.code
    this.virCode = details.virCode
    this.virDomain = details.virDomain
    this.virLevel = details.virLevel ?? 2
    this.errno = details.errno ?? null
    this.syscall = details.syscall ?? null
    this.qemu = details.qemu ?? null
    this.path = details.path ?? null
    this.pathBytes = details.pathBytes ?? null
    this.offset = details.offset == null ? null : Number(details.offset)
    this.holder = details.holder ?? null
    this.bytesNeeded = details.bytesNeeded == null ? null : Number(details.bytesNeeded)
    this.hint = details.hint ?? null
    this.retryable = retryableCodes.has(details.code) || retryableErrnos.includes(this.errno ?? 0)
  }

  /** Whether `value` is a BlockPullError of this or of any other copy of the package in the process. */
  static is(value: unknown): value is BlockPullError {
    return typeof value === 'object' && value !== null && (value as { [brand]?: unknown })[brand] === true
  }
}

/** System errors that are retryable whatever the code: no file descriptor was left. */
const retryableErrnos: readonly number[] = [os.constants.errno.EMFILE, os.constants.errno.ENFILE]

/** A call or a job was aborted by its `AbortSignal`. `cause` is the signal's reason, as in Node. */
export class AbortError extends Error {
  readonly code = 'ABORT_ERR'

  static {
    AbortError.prototype.name = 'AbortError'
  }

  constructor(
    reason: unknown,
    message = 'the pull was aborted by its signal; what was copied is kept, and another pull continues from there',
  ) {
    super(message, { cause: reason })
  }
}

/** Makes the error for a native failure record; its stack starts at the caller. */
export function errorFromNative(failure: NativeFailure): BlockPullError {
  const error = new BlockPullError({
    ...failure,
    code: failure.code as ErrorCode,
    cause: failure.cause === null ? undefined : errorFromNative(failure.cause),
  })
  Error.captureStackTrace(error, errorFromNative)
  return error
}

/** A refusal made above the addon, with libvirt's numbers; its stack starts at the caller. */
export function refusal(code: ErrorCode, virCode: number, virDomain: number, message: string): BlockPullError {
  const error = new BlockPullError({ code, message, virCode, virDomain })
  Error.captureStackTrace(error, refusal)
  return error
}

/** Makes a native call and awaits it; throws a failure record as a BlockPullError. */
export async function called<T>(call: () => T | Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (failure) {
    throw isNativeFailure(failure) ? errorFromNative(failure) : failure
  }
}

/** Whether `value` is a native failure record, and not already an Error. */
export function isNativeFailure(value: unknown): value is NativeFailure {
  if (typeof value !== 'object' || value === null || BlockPullError.is(value)) return false
  const record = value as Partial<NativeFailure>
  return typeof record.code === 'string' && typeof record.message === 'string' && typeof record.virCode === 'number'
}
