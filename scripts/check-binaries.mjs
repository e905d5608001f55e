// SPDX-License-Identifier: Apache-2.0
//
// Checks built binaries: that they load on every system that the package names, glibc 2.28 and newer. It reads what
// the dynamic loader reads, with readelf, so binaries of another architecture are checked as well.
//
//   check-binaries.mjs ARCH FILE...
//
// It prints a line for each file, and for each fault; with a fault it ends with 1. scripts/prepack runs it.

import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { basename, extname } from 'node:path'

/** The newest version of each family that a binary may ask for. A family that is not here may not be asked for. */
const newest = { GLIBC: '2.28', GCC: '4.2.0' }

/** The name of readelf for an architecture, and the file name of its loader. */
const arches = {
  x64: { machine: 'Advanced Micro Devices X86-64', loader: 'ld-linux-x86-64.so.2' },
  arm64: { machine: 'AArch64', loader: 'ld-linux-aarch64.so.1' },
}

const everywhere = ['libc.so.6', 'libm.so.6', 'libpthread.so.0', 'libgcc_s.so.1']

/** Libraries that stand beside libvirt.so.0, and raise their errors through it. */
const beside = /^libvirt-(qemu|lxc)\.so\.0$/

/**
 * @typedef {object} Binary
 * @property {string} machine
 * @property {string[]} needed
 * @property {string[]} paths where the loader is told to look, RPATH and RUNPATH
 * @property {string | undefined} soname
 * @property {string[]} versions that it asks for, `GLIBC_2.28`
 * @property {string[]} unversioned undefined symbols without a version, but for weak ones
 * @property {boolean} stripped
 */

/** @param {string} file @returns {Binary} */
function read(file) {
  const options = ['--file-header', '--section-headers', '--dynamic', '--version-info', '--dyn-syms', '--wide']
  // stderr: readelf would repeat there what is no ELF file, which the caller is told as well.
  const text = execFileSync('readelf', [...options, file], { encoding: 'utf8', maxBuffer: 1 << 28, stdio: 'pipe' })
  const all = (/** @type {RegExp} */ pattern) => [...text.matchAll(pattern)].map(([, found = '']) => found)
  const needs = text.split('Version needs section')[1] ?? ''
  return {
    machine: all(/^ *Machine: +(.+)$/gm)[0] ?? 'none',
    needed: all(/\(NEEDED\).*\[(.*)\]/g),
    paths: all(/\((?:RPATH|RUNPATH)\).*\[(.*)\]/g),
    soname: all(/\(SONAME\).*\[(.*)\]/g)[0],
    versions: [...needs.matchAll(/ Name: (\S+) /g)].map(([, name = '']) => name),
    unversioned: all(/ (?:GLOBAL|UNIQUE) +\w+ +UND ([^\s@]+)$/gm),
    stripped: !/ \.symtab /.test(text),
  }
}

/** @param {string} a @param {string} b numbers with dots */
function isNewer(a, b) {
  return a.localeCompare(b, 'en', { numeric: true }) > 0
}

/** Splits `GLIBC_2.28`. @param {string} version */
function familyOf(version) {
  const at = version.lastIndexOf('_')
  return { family: version.slice(0, at), number: version.slice(at + 1) }
}

/** @param {string} version @param {boolean} isBeside */
function isRefused(version, isBeside) {
  const { family, number } = familyOf(version)
  const limit = family === 'GLIBC' || family === 'GCC' ? newest[family] : undefined
  if (limit === undefined || !/^[\d.]+$/.test(number)) {
    return !(isBeside && version === 'BLOCKPULL_PRIVATE')
  }
  return isNewer(number, limit)
}

/** What keeps a binary from loading everywhere, a sentence each.
 * @param {Binary} binary @param {string} name @param {keyof typeof arches} arch @returns {string[]} */
function faultsOf(binary, name, arch) {
  const isBeside = beside.test(name)
  const { machine, loader } = arches[arch]
  const allowed = [...everywhere, loader, ...(isBeside ? ['libvirt.so.0'] : [])]
  const isNodes = (/** @type {string} */ symbol) => extname(name) === '.node' && symbol.startsWith('napi_')
  const limits = Object.entries(newest).map(([family, number]) => `${family}_${number}`)
  return [
    ...(binary.machine === machine ? [] : [`machine is '${binary.machine}'; expected '${machine}'`]),
    ...binary.needed.filter((library) => !allowed.includes(library)).map((library) => `it needs '${library}'`),
    ...binary.versions
      .filter((version) => isRefused(version, isBeside))
      .map((version) => `it needs version '${version}'; the newest are ${limits.join(' and ')}`),
    ...binary.unversioned
      .filter((symbol) => !isNodes(symbol))
      .map((symbol) => `symbol '${symbol}' is undefined and has no version; add it to scripts/floor/symbols.txt`),
    ...binary.paths.filter((path) => path !== '$ORIGIN').map((path) => `it looks for libraries in '${path}'`),
    ...(extname(name) === '.node' || binary.soname === name ? [] : [`soname is '${binary.soname}'; expected its name`]),
    ...(binary.stripped ? [] : ['it is not stripped']),
  ]
}

/** @param {string} file @param {Binary} binary */
function lineOf(file, binary) {
  const glibc = binary.versions.filter((version) => familyOf(version).family === 'GLIBC')
  const highest = glibc.sort((a, b) => (isNewer(familyOf(a).number, familyOf(b).number) ? -1 : 1))[0]
  return `${file}: ${highest ?? 'no version of GLIBC'}, ${statSync(file).size} bytes, needs ${binary.needed.join(' ')}`
}

const [arch = '', ...files] = process.argv.slice(2)
if ((arch !== 'x64' && arch !== 'arm64') || files.length === 0) {
  console.error(`check-binaries: usage: check-binaries.mjs ${Object.keys(arches).join('|')} FILE...`)
  process.exit(2)
}
for (const file of files) {
  try {
    const binary = read(file)
    console.log(lineOf(file, binary))
    for (const fault of faultsOf(binary, basename(file), arch)) {
      console.error(`check-binaries: '${file}' is not fit for the package: ${fault}`)
      process.exitCode = 1
    }
  } catch (error) {
    console.error(`check-binaries: '${file}' cannot be read: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  }
}
