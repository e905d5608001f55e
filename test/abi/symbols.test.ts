// SPDX-License-Identifier: Apache-2.0
//
// What our libvirt.so.0 looks like from outside: symbols and their versions, what it needs, and the numbers that
// programs were compiled with. libvirt's own library and headers are the judge; ours is newer, so it has more.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import * as virt from '../../lib/libvirt.js'
import { readDocument } from '../docs/code-blocks.js'
import { run, runWell } from '../support/processes/run-program.js'
import { TempFolder } from '../support/temp-folder.js'
import { repository } from '../tidy/source-files.js'
import { compile, onTheirs, ourLibrary, theirLibrary } from './c-program.js'

const temp = new TempFolder('symbols')
afterAll(() => temp.remove())

/** `name@@NODE kind` of what a library exports; kind is T for functions, D for variables. */
async function symbolsOf(library: string): Promise<string[]> {
  const listed = await runWell('nm', ['-D', '--defined-only', '--with-symbol-versions', library])
  return listed
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/).slice(1))
    .filter(([kind]) => kind !== 'A')
    .map(([kind = '', name = '']) => `${name} ${kind === 'B' ? 'D' : kind}`)
}

describe('libvirt.so.0', () => {
  test("exports each public symbol of the system's libvirt in the same version", async () => {
    const theirs = (await symbolsOf(await theirLibrary())).filter((symbol) => !symbol.includes('@@LIBVIRT_PRIVATE'))
    const ours = new Set(await symbolsOf(ourLibrary()))
    expect(theirs.length).toBeGreaterThan(500)
    expect(theirs.filter((symbol) => !ours.has(symbol))).toEqual([])
  })

  test('exports what native/capi/symbols.txt lists, 525 symbols in 103 nodes, and nothing else', async () => {
    const listed = readFileSync(join(repository, 'native/capi/symbols.txt'), 'utf8').match(/^vir\w+ \S+/gm) ?? []
    const ours = (await symbolsOf(ourLibrary())).map((symbol) => symbol.replace(/ \w$/, ''))
    expect(ours.sort()).toEqual(listed.map((line) => line.replace(' ', '@@')).sort())
    expect(listed).toHaveLength(525)
    expect(new Set(listed.map((line) => line.split(' ')[1])).size).toBe(103)
  })

  test('has its nodes inherit as those of libvirt do', async () => {
    const ours = await inheritance(ourLibrary())
    const theirs = await inheritance(await theirLibrary())
    expect(theirs.length).toBeGreaterThan(90)
    expect(theirs.filter((pair) => !ours.includes(pair) && !pair.includes('PRIVATE'))).toEqual([])
  })

  test('has its name, stays loaded, and needs only what every Linux has', async () => {
    const dynamic = await runWell('readelf', ['-d', '--wide', ourLibrary()])
    expect(dynamic).toMatch(/\(SONAME\).*\[libvirt\.so\.0\]/)
    expect(dynamic).toMatch(/NODELETE/)
    const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name = '']) => name)
    expect(needed).toContain('libc.so.6')
    expect(needed.filter((name) => !/^(libc|libm|libgcc_s|ld-linux[\w-]*)\.so\.\d+$/.test(name))).toEqual([])
  })
})

/** `NODE parent` of each version node that has one. */
async function inheritance(library: string): Promise<string[]> {
  const versions = await runWell('readelf', ['-V', '--wide', library])
  return [...versions.matchAll(/Name: (\S+)\n.*Parent 1: (\S+)/g)].map(([, node, parent]) => `${node} ${parent}`)
}

test('the documentation lists what is written out, and nothing else', () => {
  const [, section = ''] = readDocument('docs/libvirt-compatibility.md').split(/^## From C$/m)
  const [table = ''] = section.split('Every other function')
  const documented = [...table.matchAll(/^\| \w[\w ]* \| `.*$/gm)].flatMap(([row]) => row.match(/\bvir\w+/g) ?? [])
  const list = readFileSync(join(repository, 'native/capi/symbols.txt'), 'utf8')
  const written = [...list.matchAll(/^(vir\w+) \S+ here$/gm)].map(([, name = '']) => name)
  expect(documented.length).toBeGreaterThan(25)
  expect([...documented, 'virConnectAuthPtrDefault'].sort()).toEqual(written.sort())
})

test('layouts and numbers are those of the headers of libvirt', async () => {
  const theirs = await onTheirs(await compile('layouts', temp.file('theirs')))
  const native = join(repository, 'native')
  const source = join(import.meta.dirname, 'layouts.c')
  await runWell('c++', ['-x', 'c++', '-std=c++20', '-Wall', '-Werror', `-I${native}`, source, '-o', temp.file('ours')])
  expect(theirs.stdout.split('\n').length).toBeGreaterThan(70)
  expect(await run(temp.file('ours'), [])).toEqual(theirs)
})

test('the numbers of blockpull/libvirt are those of the headers of libvirt', async () => {
  const include = (await runWell('pkg-config', ['--variable=includedir', 'libvirt'])).trim()
  const headers = ['libvirt-domain.h', 'libvirt-host.h', 'virterror.h'].map((name) =>
    readFileSync(join(include, 'libvirt', name), 'utf8'),
  )
  const ours = Object.entries<unknown>(virt).filter(([, value]) => typeof value === 'number')
  const known = ours.filter(([name]) => headers.some((text) => new RegExp(`\\b${name}\\b`).test(text)))
  // What came after the oldest libvirt whose headers these tests meet, 9.0.
  const newer = new Set([
    'VIR_ERR_NO_NETWORK_METADATA',
    'VIR_ERR_AGENT_COMMAND_TIMEOUT',
    'VIR_ERR_AGENT_COMMAND_FAILED',
    'VIR_ERR_INVALID_ENCR_KEY_SECRET',
    'VIR_DOMAIN_BLOCK_COPY_TARGET_ZEROED',
  ])
  expect(ours.filter((entry) => !known.includes(entry) && !newer.has(entry[0]))).toEqual([])
  const counted = known.filter(([name]) => name !== 'VIR_DOMAIN_EVENT_ID_LAST')
  const prints = counted.map(([name]) => `printf("%s %d\\n", "${name}", (int)${name});`).join('\n')
  const defines = '#define VIR_ENUM_SENTINELS\n'
  const source = `${defines}#include <stdio.h>\n#include <libvirt/libvirt.h>\n#include <libvirt/virterror.h>\n`
  writeFileSync(temp.file('numbers.c'), `${source}int main(void) {\n${prints}\nreturn 0;\n}\n`)
  const theirs = await onTheirs(await compile(temp.file('numbers'), temp.file('numbers')))
  expect(theirs.stdout).toBe(counted.map(([name, value]) => `${name} ${value}\n`).join(''))
  expect(counted.length).toBeGreaterThan(140)
})

test('an unknown line in the list of symbols stops the build', async () => {
  const list = temp.file('symbols.txt')
  writeFileSync(list, '# a comment\nvirGood LIBVIRT_0.0.3 int\nvirBad LIBVIRT_0.0.3 float\n')
  const script = join(repository, 'scripts/make-abi.mjs')
  const { code, stderr } = await run(process.execPath, [script, list, temp.file('map'), temp.file('stubs')])
  expect(code).toBe(1)
  expect(stderr).toContain("line 3 of '")
})
