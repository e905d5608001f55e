// SPDX-License-Identifier: Apache-2.0
//
// The binaries for x64 on Debian 11, the oldest system that is at hand (glibc 2.31): a root folder of it, with this
// Node copied in. It is made with debootstrap, as root. The kernel is that of the machine, so the pull goes by
// io_uring where that has it.

import { copyFileSync, mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asRoot } from '../support/processes/command.js'
import { run } from '../support/processes/run-program.js'
import { TempFolder } from '../support/temp-folder.js'
import { expectPulled, layOutPackage, libraries, makeDisk } from './laid-out-package.js'

const temp = new TempFolder('debian-11')
const root = temp.file('root')
const user = [process.getuid?.() ?? 0, process.getgid?.() ?? 0].join(':')

beforeAll(async () => {
  await layOutPackage(temp.file('package'), 'x64')
  await asRoot('debootstrap', '--variant=minbase', 'bullseye', root)
  await asRoot('chown', user, root)
  copyFileSync(realpathSync(process.execPath), join(root, 'node'))
  await asRoot('cp', '-a', temp.file('package'), join(root, 'package'))
  mkdirSync(join(root, 'disk'))
}, 3_600_000)

afterAll(async () => {
  await asRoot('rm', '-rf', '--one-file-system', root)
  temp.remove()
}, 600_000)

/** Runs a program in there, with /proc and without this machine's environment; the mounts go with it. */
function inside(...command: readonly string[]) {
  const script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
  const outer = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const clean = ['-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin']
  return run('env', [...clean, ...outer, 'unshare', '--mount', 'sh', '-c', script, root, ...command])
}

test('a pull by the command goes well', async () => {
  const disk = await makeDisk(join(root, 'disk'))
  const { code, stderr } = await inside('/node', '/package/dist/cli/main.js', 'pull', '/disk/top.qcow2')
  expect(code, stderr).toBe(0)
  await expectPulled(disk)
})

test('every library loads with every symbol bound', async () => {
  for (const name of libraries) {
    const library = `/package/prebuilds/linux-x64/lib/${name}`
    const loading = await inside('env', 'LD_BIND_NOW=1', `LD_PRELOAD=${library}`, '/bin/true')
    expect(loading, name).toEqual({ code: 0, stdout: '', stderr: '' })
  }
})
