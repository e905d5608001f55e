// SPDX-License-Identifier: Apache-2.0
//
// A comment that sends its reader to a file which is gone is worse than none. Every file that a comment names, by its
// name or by the end of its path, must be in the repository.

import { isCpp, isScript, type SourceFile } from './source-files.js'

/** Files of others, and files that a build makes. */
const elsewhere: ReadonlySet<string> = new Set([
  'libvirt.h',
  'libvirt/libvirt.h',
  'docs/interop/qcow2.txt',
  'stubs.cc',
  'NAME.cc',
])

/** Complaints about files that comments name and that are not there. */
export function checkNamedFiles(files: readonly SourceFile[]): string[] {
  const known = new Set(files.flatMap(({ path }) => ends(path)))
  return files
    .filter((file) => (isCpp(file) || isScript(file)) && !file.path.startsWith('test/tidy'))
    .flatMap((file) => namedIn(file.text).flatMap((name) => (known.has(name) ? [] : [`${file.path}: names '${name}'`])))
}

function namedIn(text: string): string[] {
  const comments = [...text.matchAll(/(?:^|\s)(?:\/\/|\/?\*)(.*)$/gm)].map(([, comment = '']) => comment)
  const names = comments.flatMap((comment) => [
    ...comment.matchAll(/(?<![\w./-])([\w-][\w.-]*(?:\/[\w.-]+)*\.(?:h|cc|ts|mjs|md|txt))\b(?![\w(])/g),
  ])
  return names.map(([, name = '']) => name).filter((name) => !elsewhere.has(name))
}

/** 'a/b/c.h' -> 'a/b/c.h', 'b/c.h', 'c.h'. */
function ends(path: string): string[] {
  const parts = path.split('/')
  return parts.map((_, index) => parts.slice(index).join('/'))
}
