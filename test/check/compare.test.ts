// SPDX-License-Identifier: Apache-2.0
//
// compareImages and `qemu-img compare` give the same answer, whatever the formats, clusters, chains and sizes.

import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { compareImages } from '../../lib/index.js'
import { blockpull } from '../support/processes/command.js'
import { run } from '../support/processes/run-program.js'
import { qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('compare')
afterAll(() => temp.remove())

/** An image of that format and size with these writes, perhaps over a backing file. */
async function image(name: string, size: string, writes: readonly string[], ...options: readonly string[]) {
  const path = temp.file(name)
  const format = name.endsWith('.raw') ? 'raw' : 'qcow2'
  await qemuImg('create', '-q', '-f', format, ...options, path, size)
  if (writes.length > 0) await qemuIo(path, format, ...writes)
  return { path, format }
}

type Image = Awaited<ReturnType<typeof image>>

/** Our answer, which must be QEMU's. */
async function compared(a: Image, b: Image) {
  const { code } = await run('qemu-img', ['compare', '-f', a.format, '-F', b.format, a.path, b.path])
  const answer = await compareImages(a.path, b.path, { a: { format: a.format }, b: { format: b.format } })
  expect(answer.firstDifference === null ? 0 : 1).toBe(code)
  return answer
}

describe('two disks that read the same', () => {
  test('in other formats and clusters', async () => {
    const a = await image('a.qcow2', '8M', ['write -P 5 1M 1M', 'write -z 3M 1M'])
    const b = await image('b.raw', '8M', ['write -P 5 1M 1M'])
    const c = await image('c.qcow2', '8M', ['write -c -P 5 1M 1M'], '-o', 'cluster_size=4k')
    expect(await compared(a, b)).toEqual({ firstDifference: null, sizes: [8388608, 8388608] })
    expect(await compared(b, c)).toMatchObject({ firstDifference: null })
  })

  test('as a chain and as one file', async () => {
    const base = await image('base.qcow2', '8M', ['write -P 6 0 4M'])
    const top = await image('top.qcow2', '8M', ['write -P 7 2M 1M'], '-b', base.path, '-F', 'qcow2')
    const flat = await image('flat.qcow2', '8M', ['write -P 6 0 4M', 'write -P 7 2M 1M'])
    expect(await compared(top, flat)).toMatchObject({ firstDifference: null })
  })

  test('where the longer one ends with zeros', async () => {
    const short = await image('short.qcow2', '1M', ['write -P 1 0 1M'])
    const long = await image('long.qcow2', '3M', ['write -P 1 0 1M', 'write -P 0 2M 64k'])
    expect(await compared(short, long)).toEqual({ firstDifference: null, sizes: [1048576, 3145728] })
    expect(await compared(long, short)).toEqual({ firstDifference: null, sizes: [3145728, 1048576] })
  })
})

describe('two disks that differ', () => {
  test.each([
    ['in one byte', ['write -P 1 0 1M', 'write -P 2 777216 512'], 777216],
    ['in data against nothing', ['write -P 1 0 1M', 'write -P 1 2M 64k'], 2097152],
    ['in the first byte', ['write -P 9 0 1M'], 0],
  ] as const)('%s: the first byte is named', async (_, writes, first) => {
    const a = await image('one.qcow2', '4M', ['write -P 1 0 1M'])
    const b = await image('two.qcow2', '4M', writes)
    expect(await compared(a, b)).toMatchObject({ firstDifference: first })
  })

  test('behind the end of the shorter one', async () => {
    const short = await image('s.qcow2', '1M', [])
    const long = await image('l.qcow2', '3M', ['write -P 1 2M 512'])
    expect(await compared(short, long)).toMatchObject({ firstDifference: 2097152 })
  })
})

test('what two overlays have from one base is not read', async () => {
  const base = await image('shared.raw', '64M', ['write -P 3 0 64M'])
  const over = ['-b', base.path, '-F', 'raw'] as const
  const a = await image('left.qcow2', '64M', ['write -P 4 8M 64k'], ...over)
  const b = await image('right.qcow2', '64M', ['write -P 4 8M 64k'], ...over)
  const script = `
    import { readFileSync } from 'node:fs'
    import { compareImages } from ${JSON.stringify(join(import.meta.dirname, '../../dist/index.js'))}
    const read = () => Number(/^rchar: (\\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))[1])
    const before = read()
    const { firstDifference } = await compareImages(process.argv[1], process.argv[2])
    console.log(firstDifference, read() - before)`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, a.path, b.path])
  const [difference, bytes] = stdout.trim().split(' ')
  expect(difference).toBe('null')
  expect(Number(bytes)).toBeLessThan(8 * 2 ** 20)
})

test('the command: exit codes 0, 1 and 2', async () => {
  const a = await image('x.qcow2', '1M', ['write -P 1 0 512'])
  const b = await image('y.qcow2', '1M', ['write -P 2 0 512'])
  expect(await blockpull('compare', a.path, a.path)).toMatchObject({ code: 0, stdout: 'the disks are equal\n' })
  expect(await blockpull('compare', a.path, b.path)).toMatchObject({ code: 1 })
  expect(await blockpull('compare', a.path, temp.file('missing'))).toMatchObject({ code: 2 })
})
