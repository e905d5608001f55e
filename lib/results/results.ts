// SPDX-License-Identifier: Apache-2.0
//
// Turns the addon's records into the API's values.
//
// Sizes arrive as bigints and leave as numbers, or as bigints if the caller asked for them. A size that a number cannot
// hold exactly is a RangeError, never a rounded value. Pure functions, no state.

import type {
  NativeBlockJobEvent,
  NativeBlockJobInfo,
  NativeDiskDescription,
  NativeOutcome,
  NativePlan,
  NativeProgress,
  NativeTrailingData,
} from '../native.js'
import { AbortError, errorFromNative } from './errors.js'
import type { BlockJobEvent, BlockJobInfo, Disk, Outcome, Plan, Progress, StopCode, TrailingBytes } from './structs.js'

/** Turns a size of the addon into one of the caller's. */
export type SizeReader<Size extends number | bigint> = (value: bigint, name: string) => Size

const readNumber: SizeReader<number> = (value, name) => {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < -BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`${name} is ${value}, more than a number holds exactly; ask for it with { bigint: true }`)
  }
  return Number(value)
}

const readBigint: SizeReader<bigint> = (value) => value

/** The reader for a call's `bigint` option. */
export function sizeReader<Size extends number | bigint>(bigint: boolean): SizeReader<Size> {
  return (bigint ? readBigint : readNumber) as SizeReader<Size>
}

export function toProgress<Size extends number | bigint>(
  native: NativeProgress,
  size: SizeReader<Size>,
): Progress<Size> {
  const left = Number(native.bytesToMove - native.bytesMoved)
  const rate = Number(native.bytesPerSecond)
  return {
    state: native.state as Progress['state'],
    cur: size(native.cur, 'cur'),
    end: size(native.end, 'end'),
    bytesMoved: size(native.bytesMoved, 'bytesMoved'),
    bytesToMove: size(native.bytesToMove, 'bytesToMove'),
    bytesPerSecond: size(native.bytesPerSecond, 'bytesPerSecond'),
    etaSeconds: rate > 0 ? Math.max(0, left) / rate : null,
    bandwidth: size(native.bandwidth, 'bandwidth'),
    method: native.method,
    stoppedOn: native.stoppedOn as StopCode | null,
    phase: native.phase as Progress['phase'],
    silentSeconds: Number(native.silentNs / 1_000_000_000n),
  }
}

function toTrailing<Size extends number | bigint>(
  native: NativeTrailingData | null,
  size: SizeReader<Size>,
): TrailingBytes<Size> | null {
  return native && { offset: size(native.offset, 'offset'), bytes: size(native.bytes, 'bytes') }
}

/** `signal` is the one given at the start: if it cancelled the job, the error is an AbortError. */
export function toOutcome<Size extends number | bigint>(
  native: NativeOutcome,
  size: SizeReader<Size>,
  signal: AbortSignal | null,
): Outcome<Size> {
  const ending = {
    bytesMoved: size(native.bytesMoved, 'bytesMoved'),
    seconds: native.seconds,
    method: native.method,
    released: native.released,
    releasedBytes: native.releasedBytes,
    warnings: native.warnings,
    verified: native.verified,
    durable: native.durable,
    trailingData: toTrailing(native.trailingData, size),
  }
  const { state, error } = native
  if (error === null) return { ...ending, state, error }
  if (state === 'cancelled' && signal?.aborted) return { ...ending, state, error: new AbortError(signal.reason) }
  return { ...ending, state, error: errorFromNative(error) }
}

export function toBlockJobInfo<Size extends number | bigint>(
  native: NativeBlockJobInfo,
  size: SizeReader<Size>,
): BlockJobInfo<Size> {
  return {
    type: native.type,
    bandwidth: size(native.bandwidth, 'bandwidth'),
    cur: size(native.cur, 'cur'),
    end: size(native.end, 'end'),
    state: native.state as BlockJobInfo['state'],
    stoppedOn: native.stoppedOn as StopCode | null,
    foreign: native.foreign,
  }
}

export function toPlan<Size extends number | bigint>(native: NativePlan, size: SizeReader<Size>): Plan<Size> {
  return {
    bytesToMove: size(native.bytesToMove, 'bytesToMove'),
    bytesToAllocate: size(native.bytesToAllocate, 'bytesToAllocate'),
    bytesFree: native.bytesFree === null ? null : size(native.bytesFree, 'bytesFree'),
    virtualSize: size(native.virtualSize, 'virtualSize'),
    method: native.method,
    seconds: native.seconds,
    refusals: native.refusals.map((refusal) => errorFromNative(refusal)),
    released: native.released,
    releasedBytes: native.releasedBytes,
    base: native.base,
    trailingData: toTrailing(native.trailingData, size),
  }
}

export function toDisk({ target, source, format, backingFormats }: NativeDiskDescription): Disk {
  if (backingFormats.length === 0) return { target, source, format }
  const formats = backingFormats.map((stated) => [String(stated.path), stated.format] as const)
  return { target, source, format, backingFormats: Object.fromEntries(formats) }
}

export function toBlockJobEvent(native: NativeBlockJobEvent): BlockJobEvent {
  const { domain, target, path, type, status } = native
  const error = native.error === null ? null : errorFromNative(native.error)
  return { domain: { name: domain.name, uuid: domain.uuid }, target, path, type, status, error }
}
