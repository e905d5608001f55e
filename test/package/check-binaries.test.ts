// SPDX-License-Identifier: Apache-2.0
//
// The check of the package's binaries can fail: for each of its rules there is a small library that breaks that rule
// alone, and a good one beside it. Then the builds of every day, which are not fit for the package.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { ourLibrary } from '../abi/c-program.js'
import { run, runWell } from '../support/processes/run-program.js'
import { TempFolder } from '../support/temp-folder.js'
import { repository } from '../tidy/source-files.js'

const temp = new TempFolder('check-binaries')
afterAll(() => temp.remove())

const checkBinaries = (...args: readonly string[]) =>
  run(process.execPath, [join(repository, 'scripts/check-binaries.mjs'), ...args])

interface Sample {
  /** Options of the link beyond those of a good one. */
  readonly link?: readonly string[]
  readonly code?: string
  readonly name?: string
  readonly soname?: string
  /** A library that has `asked`, in this version where there is one. */
  readonly from?: readonly [soname: string, version?: string]
}

/** Makes a library that is stripped, has its name, and needs nothing, but for what the sample says. */
async function make(sample: Sample): Promise<string> {
  const folder = temp.folder()
  const name = sample.name ?? 'libgood.so.0'
  const source = join(folder, 'code.c')
  const bare = ['-shared', '-fPIC', '-nostdlib', '-fno-stack-protector', source]
  const others: string[] = []
  if (sample.from !== undefined) {
    const [soname, version] = sample.from
    writeFileSync(source, 'void asked(void) {}\n')
    writeFileSync(join(folder, 'map'), `${version ?? ''} { global: asked; };\n`)
    others.push(join(folder, 'other.so'))
    await runWell('gcc', [...bare, `-Wl,-soname,${soname},--version-script=${folder}/map`, '-o', ...others])
  }
  writeFileSync(source, sample.code ?? (others.length > 0 ? 'void asked(void); void f(void) { asked(); }' : ''))
  const link = sample.link ?? ['-s']
  const soname = sample.soname ?? name
  await runWell('gcc', [...bare, ...others, ...link, `-Wl,-soname,${soname}`, '-o', join(folder, name)])
  return join(folder, name)
}

const asking = 'void asked(void); void f(void) { asked(); }'

test.each<[string, Sample]>([
  ['needs nothing', {}],
  ['needs glibc 2.28', { from: ['libc.so.6', 'GLIBC_2.28'] }],
  ['needs glibc 2.2.5', { from: ['libpthread.so.0', 'GLIBC_2.2.5'] }],
  ['needs the unwinder of GCC 4.2', { from: ['libgcc_s.so.1', 'GCC_4.2.0'] }],
  ['has a weak symbol that nobody may have', { code: asking.replace('void', '__attribute__((weak)) void') }],
  ['asks Node for its functions', { name: 'good.node', code: asking.replaceAll('asked', 'napi_asked') }],
  ['stands beside libvirt.so.0', { name: 'libvirt-qemu.so.0', from: ['libvirt.so.0', 'BLOCKPULL_PRIVATE'] }],
  ['looks beside itself', { link: ['-s', '-Wl,-rpath,$ORIGIN'] }],
])('a library that %s is good', async (_what, sample) => {
  const file = await make(sample)
  const { code, stdout, stderr } = await checkBinaries('x64', file)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^\S+: (no version of GLIBC|GLIBC_2\.28|GLIBC_2\.2\.5), \d+ bytes, needs \S*\n$/)
})

const limits = 'the newest are GLIBC_2.28 and GCC_4.2.0'
const unversioned = (name: string) => `symbol '${name}' is undefined and has no version`

test.each<[fault: string, Sample]>([
  [`it needs version 'GLIBC_2.29'; ${limits}`, { from: ['libc.so.6', 'GLIBC_2.29'] }],
  [`it needs version 'GLIBC_2.34'; ${limits}`, { from: ['libc.so.6', 'GLIBC_2.34'] }],
  [`it needs version 'GLIBC_ABI_DT_RELR'; ${limits}`, { from: ['libc.so.6', 'GLIBC_ABI_DT_RELR'] }],
  [`it needs version 'GLIBC_PRIVATE'; ${limits}`, { from: ['libc.so.6', 'GLIBC_PRIVATE'] }],
  [`it needs version 'GLIBCXX_3.4'; ${limits}`, { from: ['libc.so.6', 'GLIBCXX_3.4'] }],
  [`it needs version 'GCC_4.8.0'; ${limits}`, { from: ['libgcc_s.so.1', 'GCC_4.8.0'] }],
  [`it needs version 'BLOCKPULL_PRIVATE'; ${limits}`, { from: ['libc.so.6', 'BLOCKPULL_PRIVATE'] }],
  ["it needs 'libstdc++.so.6'", { from: ['libstdc++.so.6', 'GLIBC_2.28'] }],
  ["it needs 'libvirt.so.0'", { from: ['libvirt.so.0', 'GLIBC_2.28'] }],
  [unversioned('asked'), { code: asking }],
  [unversioned('asked'), { from: ['libc.so.6'] }],
  [unversioned('asked'), { code: asking, name: 'bad.node' }],
  [unversioned('napi_asked'), { code: asking.replaceAll('asked', 'napi_asked') }],
  ["it looks for libraries in '/opt/lib'", { link: ['-s', '-Wl,-rpath,/opt/lib'] }],
  ["it looks for libraries in '/opt/lib'", { link: ['-s', '-Wl,--disable-new-dtags,-rpath,/opt/lib'] }],
  ["soname is 'libother.so.0'", { soname: 'libother.so.0' }],
  ['it is not stripped', { link: [] }],
])('a library is refused: %s', async (fault, sample) => {
  const file = await make(sample)
  const { code, stderr } = await checkBinaries('x64', await make({}), file)
  expect(code).toBe(1)
  expect(stderr.trim().split('\n')).toEqual([
    expect.stringContaining(`check-binaries: '${file}' is not fit for the package: ${fault}`),
  ])
})

test('a library of another architecture is refused, and so are a text, nothing, and a call without sense', async () => {
  const file = await make({})
  const wrong = await checkBinaries('arm64', file)
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("X86-64'; expected 'AArch64'") })
  writeFileSync(temp.file('text'), 'no ELF file')
  for (const path of [temp.file('text'), temp.file('nowhere')]) {
    const { code, stderr } = await checkBinaries('x64', path)
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`'${path}' cannot be read`) })
  }
  for (const args of [[], ['x64'], ['riscv64', file]]) {
    expect(await checkBinaries(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining('usage') })
  }
})

test('the builds that tests use are refused, for the glibc of the machine that made them', async () => {
  for (const file of [ourLibrary(), join(repository, 'build/Release/blockpull.node')]) {
    const { code, stderr } = await checkBinaries('x64', file)
    expect(code).toBe(1)
    expect(stderr).toMatch(/it needs version 'GLIBC_2\.(29|[3-9]\d)'/)
  }
})
