// SPDX-License-Identifier: Apache-2.0
//
// native/sources.gypi names exactly the .cc files that are there, each in the list of its folder, sorted and
// once. A file that is missing from it would not be compiled by either build, and nobody would notice.

import type { SourceFile } from './source-files.js'

const homes: readonly (readonly [list: string, folder: string])[] = [
  ['core_sources', 'native/core/'],
  ['job_sources', 'native/job/'],
  ['driver_sources', 'native/driver/'],
  ['virt_sources', 'native/virt/'],
  ['napi_sources', 'native/napi/'],
  ['capi_sources', 'native/capi/'],
  ['native_test_sources', 'test/native/'],
  ['fuzz_sources', 'test/fuzz/'],
  ['bench_sources', 'bench/'],
]

export function checkSourceList(listText: string, files: readonly SourceFile[]): string[] {
  const { variables } = JSON.parse(listText) as { variables: Record<string, string[]> }
  // A guest's program is built by scripts/build-guest, for a machine of its own.
  const onDisk = files
    .map((file) => file.path)
    .filter((path) => !path.startsWith('test/support/guest/') && /\.cc$/.test(path))
  const listed = Object.values(variables).flat()
  const unknownLists = Object.keys(variables).filter((name) => !homes.some(([list]) => list === name))
  return [
    ...unknownLists.map((name) => `'${name}' is a list that no build reads`),
    ...onDisk.filter((path) => !listed.includes(path)).map((path) => `${path} is on disk and not in the list`),
    ...listed.filter((path) => !onDisk.includes(path)).map((path) => `${path} is in the list and not on disk`),
    ...listed.filter((path, index) => listed.indexOf(path) !== index).map((path) => `${path} is listed twice`),
    ...homes.flatMap(([list, folder]) => {
      const paths = variables[list]
      if (paths === undefined) {
        return [`'${list}' is missing`]
      }
      const sorted = paths.every((path, index) => index === 0 || (paths[index - 1] ?? '') < path)
      return [
        ...paths.filter((path) => !path.startsWith(folder)).map((path) => `${path} does not belong in '${list}'`),
        ...(sorted ? [] : [`'${list}' is not sorted`]),
      ]
    }),
  ]
}
