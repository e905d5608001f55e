// SPDX-License-Identifier: Apache-2.0
//
// Turns the addon's records of image files into the API's values; see results.ts.

import type {
  NativeCheckReport,
  NativeComparison,
  NativeFinding,
  NativeImageInfo,
  NativeLayer,
  NativeQcow2Info,
} from '../native.js'
import type { SizeReader } from './results.js'
import type { CheckReport, Comparison, Finding, FindingCode, ImageInfo, Layer, Qcow2Info } from './structs.js'

export function toLayer<Size extends number | bigint>(native: NativeLayer, size: SizeReader<Size>): Layer<Size> {
  return {
    path: native.path,
    pathBytes: native.pathBytes,
    format: native.format,
    virtualSize: size(native.virtualSize, 'virtualSize'),
    allocatedBytes: size(native.allocatedBytes, 'allocatedBytes'),
    fileSize: size(native.fileSize, 'fileSize'),
    clusterSize: size(native.clusterSize, 'clusterSize'),
    visibleBytes: size(native.visibleBytes, 'visibleBytes'),
    dataBytes: size(native.dataBytes, 'dataBytes'),
    backingFile: native.backingFile,
    backingFormat: native.backingFormat,
    inUseBy: native.inUseBy,
  }
}

function toFinding<Size extends number | bigint>(native: NativeFinding, size: SizeReader<Size>): Finding<Size> {
  return {
    severity: native.severity as Finding['severity'],
    code: native.code as FindingCode,
    message: native.message,
    offset: size(native.offset, 'offset'),
  }
}

export function toCheckReport<Size extends number | bigint>(
  native: NativeCheckReport,
  size: SizeReader<Size>,
): CheckReport<Size> {
  return {
    errors: size(native.errors, 'errors'),
    leaks: size(native.leaks, 'leaks'),
    notes: size(native.notes, 'notes'),
    findings: native.findings.map((finding) => toFinding(finding, size)),
    totalClusters: size(native.totalClusters, 'totalClusters'),
    allocatedClusters: size(native.allocatedClusters, 'allocatedClusters'),
    compressedClusters: size(native.compressedClusters, 'compressedClusters'),
    clusterSize: size(native.clusterSize, 'clusterSize'),
    snapshots: native.snapshots,
    bitmaps: native.bitmaps,
    imageEnd: size(native.imageEnd, 'imageEnd'),
    repaired: native.repaired && {
      errors: size(native.repaired.errors, 'repaired.errors'),
      leaks: size(native.repaired.leaks, 'repaired.leaks'),
    },
  }
}

export function toComparison<Size extends number | bigint>(
  native: NativeComparison,
  size: SizeReader<Size>,
): Comparison<Size> {
  const { firstDifference, aSize, bSize } = native
  return {
    firstDifference: firstDifference === null ? null : size(firstDifference, 'firstDifference'),
    sizes: [size(aSize, 'sizes'), size(bSize, 'sizes')],
  }
}

function toQcow2Info<Size extends number | bigint>(native: NativeQcow2Info, size: SizeReader<Size>): Qcow2Info<Size> {
  return {
    ...native,
    clusterSize: size(native.clusterSize, 'clusterSize'),
    snapshots: native.snapshots.map(({ id, name, seconds, vmStateBytes, diskSize }) => ({
      id,
      name,
      takenAt: new Date(seconds * 1000),
      vmStateBytes: size(vmStateBytes, 'vmStateBytes'),
      diskSize: diskSize === null ? null : size(diskSize, 'diskSize'),
    })),
    bitmaps: native.bitmaps.map((bitmap) => ({ ...bitmap, granularity: size(bitmap.granularity, 'granularity') })),
  }
}

export function toImageInfo<Size extends number | bigint>(
  native: NativeImageInfo,
  size: SizeReader<Size>,
): ImageInfo<Size> {
  return {
    ...native,
    virtualSize: size(native.virtualSize, 'virtualSize'),
    allocatedBytes: size(native.allocatedBytes, 'allocatedBytes'),
    fileSize: size(native.fileSize, 'fileSize'),
    qcow2: native.qcow2 === null ? null : toQcow2Info(native.qcow2, size),
  }
}
