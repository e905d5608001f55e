// SPDX-License-Identifier: Apache-2.0
//
// A QEMU for a test: killed when the test that started it has ended, or with the file when a hook started it.

import { afterAll, onTestFinished, TestRunner } from 'vitest'
import { type QemuOptions, QemuProcess } from './qemu-process.mjs'

/** Those that a hook started, which live as long as the file. */
const ofThisFile = new Set<QemuProcess>()

afterAll(async () => {
  for (const qemu of ofThisFile) await qemu.kill()
})

/** Starts it and waits until it greets on its last socket, when the others are there, too. */
export async function startQemu(options: QemuOptions): Promise<QemuProcess> {
  const qemu = new QemuProcess(options)
  if (TestRunner.getCurrentTest() === undefined) ofThisFile.add(qemu)
  else onTestFinished(() => qemu.kill().then(() => undefined))
  await qemu.untilItGreets()
  return qemu
}
