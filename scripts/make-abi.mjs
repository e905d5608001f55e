// SPDX-License-Identifier: Apache-2.0
//
// Makes two files of a list of symbols in native/capi, for the linking of libvirt.so.0, libvirt-qemu.so.0 and
// libvirt-lxc.so.0:
//
//   NAME.map     the linker's version script: every symbol in its version node, each node inheriting from the
//                one before, and nothing else exported
//   NAME.cc      a function that fails for every symbol that is not written out in native/capi
//
// Run by CMake whenever a list changes: make-abi.mjs SYMBOLS MAP STUBS.

import { readFileSync, writeFileSync } from 'node:fs'

const kinds = {
  int: { type: 'int', ending: 'return -1;' },
  pointer: { type: 'void*', ending: 'return nullptr;' },
  zero: { type: 'unsigned long long', ending: 'return 0;' },
  void: { type: 'void', ending: '' },
  here: undefined,
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`make-abi: ${message}`)
  process.exit(1)
}

/** @param {string} text @param {string} file */
function readSymbols(text, file) {
  return text.split('\n').flatMap((line, index) => {
    if (line === '' || line.startsWith('#')) {
      return []
    }
    const [, name = '', node = '', kind = ''] = /^(\w+) ((?:LIBVIRT|BLOCKPULL)_[\w.]+) (\w+)$/.exec(line) ?? []
    if (!(kind in kinds)) {
      fail(`line ${index + 1} of '${file}' is '${line}'; expected 'name node ${Object.keys(kinds).join('|')}'`)
    }
    return [{ name, node, kind: /** @type {keyof typeof kinds} */ (kind) }]
  })
}

/** @param {ReturnType<typeof readSymbols>} symbols */
function versionScript(symbols) {
  const nodes = [...new Set(symbols.map(({ node }) => node))]
  const blocks = nodes.map((node, index) => {
    const names = symbols.filter((symbol) => symbol.node === node).map(({ name }) => `    ${name};\n`)
    const local = index === 0 ? '  local:\n    *;\n' : ''
    const before = index === 0 ? '' : ` ${nodes[index - 1]}`
    return `${node} {\n  global:\n${names.join('')}${local}}${before};\n`
  })
  return blocks.join('\n')
}

/** @param {ReturnType<typeof readSymbols>} symbols */
function stubs(symbols) {
  const functions = symbols.flatMap(({ name, node, kind }) => {
    const made = kinds[kind]
    const raise = /^LIBVIRT_\d/.test(node) ? 'blockpull::capi::raise_unsupported' : 'blockpull_raise_unsupported'
    return made === undefined ? [] : [`${made.type} ${name}() {\n  ${raise}("${name}");\n  ${made.ending}\n}\n`]
  })
  const head = '#include "capi/unsupported.h"\n\n#pragma GCC visibility push(default)\nextern "C" {\n\n'
  return `${head}${functions.join('\n')}\n}\n`
}

const [source, mapFile, stubFile] = process.argv.slice(2)
if (source === undefined || mapFile === undefined || stubFile === undefined) {
  fail('usage: make-abi.mjs SYMBOLS MAP STUBS')
}
const symbols = readSymbols(readFileSync(source, 'utf8'), source)
writeFileSync(mapFile, versionScript(symbols))
writeFileSync(stubFile, stubs(symbols))
