// SPDX-License-Identifier: Apache-2.0
//
// Where libvirt.so.0 is looked for, and what is said where there is none.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { findShim } from '../../lib/shim.js'
import { TempFolder } from '../support/temp-folder.js'
import { FakeTerminal } from './cli/fake-context.js'

const temp = new TempFolder('shim')
afterAll(() => temp.remove())

function packageWith(...files: readonly string[]): string {
  const root = temp.folder('package')
  for (const file of files.map((name) => join(root, name))) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, '')
  }
  return root
}

describe('libvirt.so.0', () => {
  const packed = 'prebuilds/linux-x64/lib/libvirt.so.0'
  const built = ['build-cmake/release/libvirt.so.0', 'build-cmake/dev/libvirt.so.0']

  it('is that of the package, for this system', () => {
    const root = packageWith(packed, 'prebuilds/linux-arm64/lib/libvirt.so.0', ...built)
    expect(findShim(root, 'linux-x64')).toBe(join(root, 'prebuilds/linux-x64/lib'))
    expect(findShim(root, 'linux-arm64')).toBe(join(root, 'prebuilds/linux-arm64/lib'))
  })

  it('is that of the build in a checkout, the release first', () => {
    const root = packageWith(...built)
    expect(findShim(root, 'linux-x64')).toBe(join(root, 'build-cmake/release'))
    const other = packageWith('build-cmake/dev/libvirt.so.0')
    expect(findShim(other, 'linux-x64')).toBe(join(other, 'build-cmake/dev'))
  })

  it('that is in neither is said to be missing, with what to do', () => {
    const root = packageWith('prebuilds/linux-arm64/lib/libvirt.so.0')
    const missing = `libvirt.so.0 is missing in '${root}/prebuilds/linux-x64/lib'; `
    const again = 'install the package again'
    expect(() => findShim(root, 'linux-x64')).toThrow(new Error(missing + again))
    const checkout = packageWith('scripts/setup')
    expect(() => findShim(checkout, 'linux-x64')).toThrow("linux-x64/lib'; build it with 'cmake --preset release && ")
  })
})

describe('blockpull shim-path', () => {
  it('prints the folder and nothing else', async () => {
    const terminal = new FakeTerminal()
    await expect(terminal.run('shim-path')).resolves.toBe(0)
    expect(terminal.out).toBe('/opt/blockpull/lib\n')
    expect(terminal.err).toBe('')
  })

  it('prints it as a JSON line', async () => {
    const terminal = new FakeTerminal()
    await expect(terminal.run('shim-path --json')).resolves.toBe(0)
    expect(terminal.lines).toMatchObject([
      { event: 'shimPath', path: '/opt/blockpull/lib' },
      { event: 'end', state: 'completed' },
    ])
  })

  it('takes no argument', async () => {
    const terminal = new FakeTerminal()
    await expect(terminal.run('shim-path x')).resolves.toBe(2)
    expect(terminal.err).toContain("argument 'x' is unexpected; expected options only")
  })
})
