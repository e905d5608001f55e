// SPDX-License-Identifier: Apache-2.0
//
// Who may include whom. The table is the drawing in docs/architecture.md, written down: a file may include from
// its own folder and from the folders listed for it, and from nowhere else. Tests and benchmarks may include
// anything. Third-party headers have one home each, so that a library can be replaced in one place.

import { posix } from 'node:path'
import { isCpp, isScript, type SourceFile } from './source-files.js'

const core = ['core/base', 'core/io', 'core/net', 'core/image', 'core/qmp']
const drivers = ['job', 'driver', 'driver/plan', 'driver/local', 'driver/qemu']

/** The rooms of native/virt, each above those before it. */
const rooms = ['words', 'domains', 'session', 'chains', 'guests', 'hosts', 'calls'].map((room) => `virt/${room}`)

/** Folder in native/ -> folders that it may include from, besides itself. */
const nativeLayers: Readonly<Record<string, readonly string[]>> = {
  'core/base': [],
  'core/io': ['core/base'],
  'core/net': ['core/base'],
  'core/image': ['core/base', 'core/io'],
  'core/qmp': ['core/base', 'core/net'],
  job: ['core/base', 'core/io'],
  driver: [...core, 'job'],
  'driver/plan': [...core, 'job', 'driver'],
  'driver/local/move': [...core, 'job', 'driver', 'driver/plan'],
  'driver/local': [...core, 'job', 'driver', 'driver/plan', 'driver/local/move'],
  'driver/qemu': [...core, 'job', 'driver', 'driver/plan'],
  ...Object.fromEntries(rooms.map((room, index) => [room, [...core, ...drivers, ...rooms.slice(0, index)]])),
  napi: ['core/base', 'core/io', 'core/image', 'core/qmp', 'job', 'virt/words', 'virt/session', 'virt/calls'],
  capi: ['core/base', 'virt/words', 'virt/session', 'virt/calls'],
}

/** All that the command may see of lib/: what package.json exports, and how misspelt words are met. */
const seenByCommand: ReadonlySet<string> = new Set(['lib/index.js', 'lib/libvirt.js', 'lib/words/nearest.js'])

/** Third-party header -> the only folder in native/ that may include it. */
const headerHomes: readonly (readonly [RegExp, string])[] = [
  [/^(napi|node_api|js_native_api|uv|v8)\.h$/, 'napi'],
  [/^liburing(\.h|\/)/, 'core/io'],
  [/^(libdeflate|zstd|zstd_errors)\.h$/, 'core/image'],
  [/^json-c\//, 'core/qmp'],
  [/^pugixml\.hpp$/, 'virt/domains'],
  [/^(gtest|gmock)\//, 'nowhere'],
]

/** Complaints about #include lines in native/. */
export function checkIncludes(files: readonly SourceFile[]): string[] {
  const known = new Set(files.map((file) => file.path))
  return files
    .filter((file) => isCpp(file) && file.path.startsWith('native/'))
    .flatMap((file) => {
      const folder = nativeFolder(file.path.slice('native/'.length))
      return [...file.text.matchAll(/^\s*#\s*include\s*([<"])([^>"]+)[>"]/gm)].flatMap(([, bracket, name = '']) => {
        const problem = bracket === '<' ? systemProblem(folder, name) : ownProblem(folder, name, known)
        return problem === undefined ? [] : [`${file.path}: ${problem}`]
      })
    })
}

function systemProblem(folder: string | undefined, name: string): string | undefined {
  const home = headerHomes.find(([pattern]) => pattern.test(name))?.[1]
  return home === undefined || home === folder ? undefined : `<${name}> may be included in native/${home} only`
}

function ownProblem(folder: string | undefined, name: string, known: ReadonlySet<string>): string | undefined {
  if (!known.has(`native/${name}`)) {
    return `"${name}" is no file below native/, which is where names start`
  }
  const target = nativeFolder(name)
  if (folder === undefined || target === undefined) {
    return 'lies in a folder that the table of layers does not know'
  }
  if (folder !== target && !nativeLayers[folder]?.includes(target)) {
    return `native/${folder} may not include "${name}": native/${target} is not below it`
  }
  return undefined
}

/**
 * Complaints about modules (a .h with its .cc) of native/ that include each other, by way of others too: within a
 * folder there is an up and a down as well.
 */
export function checkCycles(files: readonly SourceFile[]): string[] {
  const moduleOf = (path: string): string => path.replace(/\.(h|cc)$/, '')
  const includes = new Map<string, Set<string>>()
  for (const { path, text } of files.filter((file) => isCpp(file) && file.path.startsWith('native/'))) {
    const from = moduleOf(path.slice('native/'.length))
    const below = [...text.matchAll(/^\s*#\s*include\s*"([^"]+)"/gm)].map(([, name = '']) => moduleOf(name))
    const known = includes.get(from) ?? new Set<string>()
    for (const name of below) if (name !== from) known.add(name)
    includes.set(from, known)
  }
  const done = new Set<string>()
  const visit = (module: string, above: readonly string[]): string[] => {
    if (above.includes(module)) {
      return [`native/${module} includes itself: ${[...above.slice(above.indexOf(module)), module].join(' > ')}`]
    }
    if (done.has(module)) return []
    const found = [...(includes.get(module) ?? [])].flatMap((below) => visit(below, [...above, module]))
    done.add(module)
    return found
  }
  return [...includes.keys()].flatMap((module) => visit(module, []))
}

/** 'core/image/qcow2/header.h' -> 'core/image', the longest that the table has. */
function nativeFolder(path: string): string | undefined {
  const folders = Object.keys(nativeLayers).filter((folder) => path.startsWith(`${folder}/`))
  return folders.sort((a, b) => b.length - a.length)[0]
}

/** Complaints about import lines in lib/ (and of lib/ elsewhere in the product). */
export function checkImports(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => isScript(file) && file.path.startsWith('lib/'))
    .flatMap((file) => imports(file.text).flatMap((name) => importProblem(file, name) ?? []))
}

function imports(text: string): string[] {
  const code = text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')
  const pattern = /\b(?:from|import|require)\s*\(?\s*'([^']+)'/g
  return [...code.matchAll(pattern)].map(([, name = '']) => name)
}

function importProblem(file: SourceFile, name: string): string | undefined {
  if (!name.startsWith('.')) {
    // Bundled by scripts/bundle.
    if (file.path === 'lib/cli/string-width.ts' && name === 'string-width') return undefined
    return name.startsWith('node:') ? undefined : `${file.path}: imports '${name}'; there are no dependencies in lib/`
  }
  const target = posix.normalize(posix.join(posix.dirname(file.path), name))
  if (!target.startsWith('lib/')) {
    // The version is read from package.json; nothing else lies outside.
    return target === 'package.json' ? undefined : `${file.path}: imports '${name}' from outside lib/`
  }
  const inCli = file.path.startsWith('lib/cli/')
  if (!inCli && target.startsWith('lib/cli/')) {
    return `${file.path}: the library may not import the command ('${name}')`
  }
  if (inCli && !target.startsWith('lib/cli/') && !seenByCommand.has(target)) {
    return `${file.path}: the command is a client of the public entries and may not import '${name}'`
  }
  return undefined
}

/** Complaints about making a BlockPullError anywhere but in lib/results/errors.ts. */
export function checkErrorMaker(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => isScript(file) && file.path.startsWith('lib/') && file.path !== 'lib/results/errors.ts')
    .filter((file) => file.text.includes('new BlockPullError('))
    .map((file) => `${file.path}: only lib/results/errors.ts makes a BlockPullError`)
}

/** Complaints about writing to a stream past `tell` and its like, which make names harmless. */
export function checkWriters(files: readonly SourceFile[]): string[] {
  const writers = ['shown', 'json', 'render', 'program', 'main'].map((name) => `lib/cli/${name}.ts`)
  return files
    .filter((file) => isScript(file) && file.path.startsWith('lib/cli/') && !writers.includes(file.path))
    .filter((file) => /\.write\((?!formatTable\(|chainText\(|infoText\()/.test(file.text))
    .map((file) => `${file.path}: writes to a stream; lines for people go through 'tell' or 'formatTable'`)
}

/** Complaints about loading the addon anywhere but in lib/native.ts. */
export function checkLoader(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => isScript(file) && /^(lib|scripts|bench)\//.test(file.path) && file.path !== 'lib/native.ts')
    .filter((file) => /node-gyp-build'\)|'node-gyp-build'|\('[^']*\.node'\)|process\.dlopen/.test(file.text))
    .map((file) => `${file.path}: only lib/native.ts loads the addon`)
}
