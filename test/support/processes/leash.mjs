// SPDX-License-Identifier: Apache-2.0
//
// A program on a leash: the kernel kills it when the process that started it dies, however that dies. It is for what
// runs until it is told to end, a QEMU above all, and would be left behind by a test that was killed.

/**
 * What to hand to spawn(). setpriv becomes the program, so that pid, signals and standard streams are the program's.
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {[string, string[]]}
 */
export function leashed(program, args) {
  return ['setpriv', ['--pdeathsig', 'SIGKILL', program, ...args]]
}
