// SPDX-License-Identifier: Apache-2.0
//
// A refusal in QEMU's words. Thrown by whatever carries out a command, it becomes the error of the reply. A crash takes QEMU with it instead.

export class QmpFailure extends Error {
  /** @param {string} desc @param {string} [errorClass] */
  constructor(desc, errorClass = 'GenericError') {
    super(desc)
    this.class = errorClass
  }
}

/** What makes a real QEMU die. */
export class QemuCrash extends Error {}
