// SPDX-License-Identifier: Apache-2.0
//
// Cuts a stream of bytes into JSON objects by counting brackets outside of strings, as both ends of QMP must:
// QEMU takes requests with nothing between them or spread over many writes, and a monitor with pretty=on answers
// over many lines. What stands between objects (spaces, line ends, garbage) belongs to the next text as it is,
// and JSON.parse() judges it.
//
//     {"a": "}"}\r\n{"b":     ->   '{"a": "}"}'      and keeps '\r\n{"b":'

export class MessageSplitter {
  #text = ''
  #next = 0
  #depth = 0
  #inString = false
  #decoder = new TextDecoder()

  /** The texts that these bytes complete, without the white space around them.
   * @param {Uint8Array} bytes @returns {string[]} */
  push(bytes) {
    this.#text += this.#decoder.decode(bytes, { stream: true })
    const texts = []
    let start = 0
    for (; this.#next < this.#text.length; this.#next++) {
      if (!this.#closesAt(this.#text.charAt(this.#next))) continue
      texts.push(this.#text.slice(start, this.#next + 1).trim())
      start = this.#next + 1
    }
    this.#text = this.#text.slice(start)
    this.#next -= start
    return texts
  }

  /** What has come of a message that is not complete. */
  get rest() {
    return this.#text.trim()
  }

  /** Whether this character ends an outermost object or list. @param {string} character */
  #closesAt(character) {
    if (this.#inString) {
      if (character === '\\') this.#next++
      else if (character === '"') this.#inString = false
      return false
    }
    if (character === '"') this.#inString = this.#depth > 0
    else if (character === '{' || character === '[') this.#depth++
    else if ((character === '}' || character === ']') && this.#depth > 0) return --this.#depth === 0
    return false
  }
}
