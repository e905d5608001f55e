// SPDX-License-Identifier: Apache-2.0
//
// Makes of symbols.txt what CMake compiles and links against in the place of the system's glibc. For each library:
//
//   LIBRARY.c      an empty function or a variable for every symbol; nothing of it is ever run
//   LIBRARY.map    the linker's version script, which gives each symbol its version
//
// and for the linker libc.so, libm.so and libpthread.so: scripts as glibc installs, which say where to look.
//
// Run by CMake: make-stubs.mjs SYMBOLS ARCH FOLDER.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const arches = ['x64', 'arm64']
const loaders = { x64: 'ld-linux-x86-64.so.2', arm64: 'ld-linux-aarch64.so.1' }
const libraries = { c: 'libc.so.6', m: 'libm.so.6', pthread: 'libpthread.so.0' }

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`make-stubs: ${message}`)
  process.exit(1)
}

const [list = '', arch = '', folder = ''] = process.argv.slice(2)
if (folder === '' || (arch !== 'x64' && arch !== 'arm64')) {
  fail(`usage: make-stubs.mjs SYMBOLS ${arches.join('|')} FOLDER`)
}
const loader = loaders[arch]
/** @type {Record<string, string>} */
const files = { ...libraries, loader }

const line = /^(\w+) (c|loader|m|pthread) (-|[\d.]+) (-|[\d.]+)( object)?$/

/** What this architecture has. @param {string} text */
function readSymbols(text) {
  return text.split('\n').flatMap((row, index) => {
    if (row === '' || row.startsWith('#')) {
      return []
    }
    const found = line.exec(row)
    if (found === null) {
      return fail(`line ${index + 1} of '${list}' is '${row}'; expected 'symbol library x64 arm64 [object]'`)
    }
    const [, name = '', library = '', x64 = '', arm64 = '', object] = found
    const version = arch === 'x64' ? x64 : arm64
    return version === '-' ? [] : [{ name, file: files[library] ?? '', version: `GLIBC_${version}`, object }]
  })
}

const symbols = readSymbols(readFileSync(list, 'utf8'))
mkdirSync(folder, { recursive: true })
for (const file of Object.values(files)) {
  const here = symbols.filter((symbol) => symbol.file === file)
  const code = here.map(({ name, object }) => (object === undefined ? `void ${name}(void) {}\n` : `void *${name};\n`))
  const nodes = [...new Set(here.map(({ version }) => version))].map((version, index) => {
    const names = here.filter((symbol) => symbol.version === version).map(({ name }) => `    ${name};\n`)
    return `${version} {\n  global:\n${names.join('')}${index === 0 ? '  local:\n    *;\n' : ''}};\n`
  })
  writeFileSync(join(folder, `${file}.c`), code.join(''))
  writeFileSync(join(folder, `${file}.map`), nodes.join('\n'))
}

// libc_nonshared.a is glibc's own: atexit, which every binary has a copy of. What moved into libc.so.6 is asked for
// nowhere but there, so libc.so names the library that had it, and the loader.
const others = `AS_NEEDED ( ${loader} ${libraries.pthread} )`
writeFileSync(join(folder, 'libc.so'), `GROUP ( ${libraries.c} libfloor.a libc_nonshared.a ${others} )\n`)
for (const name of /** @type {const} */ (['m', 'pthread'])) {
  writeFileSync(join(folder, `lib${name}.so`), `INPUT ( AS_NEEDED ( ${libraries[name]} ) )\n`)
}
