// SPDX-License-Identifier: Apache-2.0
//
// Rules about names and words: the licence line and the file note, promises to work later, tests switched off,
// folders of one machine, package registries, statics with a destructor, file names that say nothing, and what lies
// at the top of the repository.

import { basename } from 'node:path'
import { isCpp, isScript, lineAt, type SourceFile } from './source-files.js'

/** Files that state these rules, or show the words in samples. */
const exempt = /^test\/tidy(\/|\.test\.ts$)/

const licence = 'SPDX-License-Identifier: Apache-2.0'

/**
 * First line of every source file, below '#!' where there is one, then a note of at most 25 lines. A .cc file
 * beside the header of the same name needs none, since the header has it.
 */
export function checkHeads(files: readonly SourceFile[]): string[] {
  const paths = new Set(files.map((file) => file.path))
  return files.filter(isSource).flatMap((file) => {
    const hasHeader = file.path.endsWith('.cc') && paths.has(file.path.replace(/cc$/, 'h'))
    const lines = file.text.split('\n')
    const at = lines[0]?.startsWith('#!') ? 1 : 0
    const comment = lines[at]?.startsWith('#') ? '#' : '//'
    if (lines[at] !== `${comment} ${licence}`) {
      return [`${file.path}: the first line is not '${comment} ${licence}'`]
    }
    const rest = lines.slice(at + 1)
    const end = rest.findIndex((line) => !line.startsWith(comment))
    const note = rest.slice(0, end === -1 ? rest.length : end).filter((line) => line !== comment)
    return (note.length < 1 && !hasHeader) || note.length > 25
      ? [`${file.path}: the note below the licence has ${note.length} lines; 1 to 25 are wanted`]
      : []
  })
}

function isSource(file: SourceFile): boolean {
  return (
    isCpp(file) ||
    isScript(file) ||
    /^(scripts|\.ci)\/[^.]*$/.test(file.path) ||
    /(^|\/)(binding\.gyp|CMakeLists\.txt)$/.test(file.path)
  )
}

const banned: readonly (readonly [RegExp, string, (path: string) => boolean])[] = [
  [/\b(TODO|FIXME|XXX|HACK)\b/g, 'work put off', () => true],
  [/\b(describe|it|test|suite)\.(skip|only|todo|fails)\b/g, 'a test switched off', isTest],
  [/\b(xit|xdescribe|fit|fdescribe)\s*\(/g, 'a test switched off', isTest],
  [/\bGTEST_SKIP\b|\bDISABLED_\w/g, 'a test switched off', isTest],
  [/(?<![\w.])\/(work|root|home\/\w+|Users\/\w+)\//g, 'a folder of one machine', () => true],
  [/\bregistry\.[\w-]+\.\w+|\bnpmjs\.(org|com)\b|"resolved":/g, 'a package registry', () => true],
  [/@ts-(ignore|nocheck)|biome-ignore-all/g, 'a check switched off', isScriptPath],
  [
    /(?<=^\s*)static (const )?(std::(\w+_ptr|\w*map|\w*set|vector|deque|string|function)\b)[^()*]*(;| = | =$)/gm,
    'a static that exit() destroys, perhaps under a thread; see core/base/thread.h',
    (path) => path.startsWith('native/'),
  ],
]

function isTest(path: string): boolean {
  return path.startsWith('test/')
}

function isScriptPath(path: string): boolean {
  return isScript({ path })
}

export function checkWords(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => !exempt.test(file.path) && file.path !== 'LICENSE')
    .flatMap((file) =>
      banned
        .filter(([, , applies]) => applies(file.path))
        .flatMap(([pattern, why]) =>
          [...file.text.matchAll(pattern)].map(
            (match) => `${file.path}:${lineAt(file.text, match.index)}: '${match[0]}' (${why})`,
          ),
        ),
    )
}

const emptyNames = /(^|[-_.])(utils?|helpers?|common|misc|manager|data|info2|stuff)([-_.]|$)/

/** snake_case.cc in native/, kebab-case.ts elsewhere, and no name that could hold anything. */
export function checkNames(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const name = basename(file.path)
    if (isCpp(file) && !/^[a-z0-9]+(_[a-z0-9]+)*\.(cc|h)$/.test(name)) {
      return [`${file.path}: C++ files are named in snake_case`]
    }
    if (isScript(file) && !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|test-d|config))?\.(ts|mjs)$/.test(name)) {
      return [`${file.path}: scripts are named in kebab-case`]
    }
    const inProduct = /^(native|lib)\//.test(file.path)
    return inProduct && file.path.split('/').some((part) => emptyNames.test(part))
      ? [`${file.path}: the name says nothing about what is inside`]
      : []
  })
}

/** All that lies at the top of the repository, as git knows it. */
const topLevel: ReadonlySet<string> = new Set([
  ...['.ci', 'bench', 'docs', 'lib', 'native', 'scripts', 'test'],
  ...['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'THIRD_PARTY_NOTICES'],
  ...['binding.gyp', 'CMakeLists.txt', 'CMakePresets.json', 'package.json', 'package-lock.json'],
  ...['biome.json', 'tsconfig.json', 'tsconfig.test.json', 'vitest.config.ts'],
  ...['.clang-format', '.clang-tidy', '.editorconfig', '.gitignore', '.npmrc'],
])

/** Complaints about files and folders that were left at the top, and about those that are gone. */
export function checkTopLevel(files: readonly SourceFile[]): string[] {
  const there = new Set(files.map(({ path }) => path.split('/')[0] ?? ''))
  const stray = [...there].filter((name) => !topLevel.has(name)).sort()
  const missing = [...topLevel].filter((name) => !there.has(name))
  return [
    ...stray.map((name) => `'${name}' does not belong at the top of the repository`),
    ...missing.map((name) => `'${name}' is missing at the top of the repository`),
  ]
}
