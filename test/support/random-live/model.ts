// SPDX-License-Identifier: Apache-2.0
//
// What a guest's disk must contain, written down beside the guest that writes to it. What was written and not
// flushed may be lost when QEMU is killed, each sector on its own: until a flush, a sector may still have what it
// had before.
//
//     write 1 ── write 2 ── flush ── write 3 ──×
//     each sector of write 3 is new or old; those of writes 1 and 2 are new

const sectorSize = 512

interface Overwritten {
  /** The number of the write that came over it. */
  readonly write: number
  readonly was: Buffer
}

export class DiskModel {
  readonly #now: Buffer
  /** By sector, what it may still have, oldest first. */
  readonly #unsure = new Map<number, Overwritten[]>()
  #writes = 0

  /** A disk that reads so now, durably. */
  constructor(content: Buffer) {
    this.#now = Buffer.from(content)
  }

  /** Bytes. */
  get size(): number {
    return this.#now.length
  }

  /** A point in time, for `flushedUpTo`. */
  get mark(): number {
    return this.#writes
  }

  /** The guest writes whole sectors of one byte. */
  write(offset: number, length: number, byte: number): void {
    const write = ++this.#writes
    for (let at = offset; at < offset + length; at += sectorSize) {
      const was = Buffer.from(this.#sector(this.#now, at / sectorSize))
      const older = this.#unsure.get(at / sectorSize) ?? []
      this.#unsure.set(at / sectorSize, [...older, { write, was }])
    }
    this.#now.fill(byte, offset, offset + length)
  }

  /** All that was written up to this mark is durable. */
  flushedUpTo(mark = this.mark): void {
    for (const [sector, older] of this.#unsure) {
      const left = older.filter(({ write }) => write > mark)
      if (left.length > 0) this.#unsure.set(sector, left)
      else this.#unsure.delete(sector)
    }
  }

  /** Says where what was found cannot be, or null. */
  complaint(found: Buffer): string | null {
    if (found.length !== this.size) return `the disk has ${found.length} bytes, it should have ${this.size}`
    const wrong: number[] = []
    for (let sector = 0; sector < this.size / sectorSize; sector++) {
      const is = this.#sector(found, sector)
      const mayBe = this.#unsure.get(sector)?.map(({ was }) => was) ?? []
      if (![this.#sector(this.#now, sector), ...mayBe].some((bytes) => bytes.equals(is))) wrong.push(sector)
    }
    const [first] = wrong
    if (first === undefined) return null
    const [is, due] = [found, this.#now].map((disk) => this.#sector(disk, first).subarray(0, 8).toString('hex'))
    return `${wrong.length} sectors are wrong, the first is ${first}: ${is}, it should be ${due}`
  }

  /** What was found after a death, without complaint, is what the disk has from now on. */
  settle(found: Buffer): void {
    found.copy(this.#now)
    this.#unsure.clear()
  }

  #sector(disk: Buffer, sector: number): Buffer {
    return disk.subarray(sector * sectorSize, (sector + 1) * sectorSize)
  }
}
