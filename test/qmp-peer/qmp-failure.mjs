// SPDX-License-Identifier: Apache-2.0
//
// A refusal in QEMU's words: thrown by whatever carries out a command, it becomes the error of the reply. And the
// other way for a command to end: QEMU dies of it.

export class QmpFailure extends Error {
  /** @param {string} desc @param {string} [errorClass] */
  constructor(desc, errorClass = 'GenericError') {
    super(desc)
    this.class = errorClass
  }
}

/** What makes a real QEMU die. */
export class QemuCrash extends Error {}
