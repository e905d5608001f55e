// SPDX-License-Identifier: Apache-2.0
//
// Debian's libvirt module for Python, as it is, on our libvirt.so.0. It is linked so that it loads only where every
// symbol it names is there in its version.

import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { VmFolder } from '../addon/vm-folder.js'
import { check } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'
import { onOurs } from './c-program.js'

const temp = new TempFolder('python')
afterAll(() => temp.remove())

test('a Python program pulls a disk, receives the event of its end, and gets errors as exceptions', async () => {
  const vms = await VmFolder.make(temp.folder())
  const script = join(import.meta.dirname, 'pull_disk.py')
  // Debian's own Python, since that is whose module it is.
  expect(await onOurs('/usr/bin/python3', script, vms.uri)).toEqual({
    code: 0,
    stderr: '',
    stdout: [
      '11003000 vm0 -1 36',
      '0',
      '1 262144 4194304',
      "84 10 Operation not supported: disk 'vda' already in active block job",
      '0',
      "('8', 'vm0', 'top.qcow2', 1, 0) ('16', 'vm0', 'vda', 1, 0)",
      '{}',
      '3 20 this function is not supported by the connection driver: virDomainSuspend',
      '',
    ].join('\n'),
  })
  expect((await check(vms.top)).code).toBe(0)
})
