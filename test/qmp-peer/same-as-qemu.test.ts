// SPDX-License-Identifier: Apache-2.0
//
// The peer against a real QEMU: each scenario is played against both, and both must say the same. What the peer
// has beyond that (other versions, misbehaviour) rests on these. It is QEMU 7.2 that the peer is like: what a later one
// shows has more members and some other words, so beside that these scenarios fail.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { qemuImg, qemuIo } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'
import { expectTheSame, type Sides } from './recording.js'

const temp = new TempFolder('same-as-qemu')
const size = 4 * 2 ** 20
/** So slow that a job stands still after its first 512 KiB. */
const slow = { speed: 65_536 }
const byHand = { 'auto-finalize': false, 'auto-dismiss': false }
/** The last one kills QEMU beside a concluded stream: there is a test of that. */
const queries = ['query-jobs', 'query-block-jobs', 'query-block', 'query-blockstats', 'query-named-block-nodes']
const withoutNodes = queries.slice(0, 4)

beforeAll(async () => {
  await qemuImg('create', '-q', '-f', 'qcow2', temp.file('base.qcow2'), String(size))
  await qemuIo(temp.file('base.qcow2'), 'qcow2', `write 0 ${size}`)
})
afterAll(() => temp.remove())

/** A drive `vda` over `top`, `middle` and `base`. */
async function chain(): Promise<Sides> {
  const folder = temp.folder()
  await overlay(`${folder}/middle.qcow2`, temp.file('base.qcow2'))
  await overlay(`${folder}/top.qcow2`, 'middle.qcow2')
  await qemuIo(`${folder}/middle.qcow2`, 'qcow2', 'write 1M 2M')
  return {
    folder,
    args: ['-drive', 'if=none,id=vda,node-name=top,file=top.qcow2,format=qcow2'],
    disks: [
      {
        device: 'vda',
        nodes: ['top.qcow2', 'middle.qcow2', temp.file('base.qcow2')].map((filename, index) => {
          return { filename, virtualSize: size, ...(index === 0 && { nodeName: 'top' }) }
        }),
      },
    ],
  }
}

/** The same as libvirt starts a guest: nodes with names, and no name for the drive, which the guest's device has. */
async function chainOfGuest(): Promise<Sides> {
  const { folder } = await chain()
  const names = ['top', 'middle', 'base']
  const paths = ['top.qcow2', 'middle.qcow2', temp.file('base.qcow2')]
  const nodes = names.map((name, index) => ({
    ...{ driver: 'qcow2', 'node-name': name, file: { driver: 'file', filename: paths[index] } },
    ...{ backing: names[index + 1] ?? null, 'read-only': index > 0 },
  }))
  const device = ['-device', 'virtio-blk-pci,drive=top,id=disk0']
  return {
    ...{ folder, machine: 'q35' },
    args: [...nodes.toReversed().flatMap((node) => ['-blockdev', JSON.stringify(node)]), ...device],
    disks: [
      {
        qdev: '/machine/peripheral/disk0/virtio-backend',
        nodes: names.map((nodeName, index) => ({ nodeName, filename: paths[index] ?? '', virtualSize: size })),
      },
    ],
  }
}

/** A node `top` over `base`, whose first read of data fails in the real one. */
async function failing(): Promise<Sides> {
  const folder = temp.folder()
  await overlay(`${folder}/top.qcow2`, temp.file('base.qcow2'))
  const bad = {
    ...{ driver: 'blkdebug', image: { driver: 'file', filename: temp.file('base.qcow2') } },
    'inject-error': [{ event: 'read_aio', errno: 5, once: true }],
  }
  const base = { driver: 'qcow2', 'node-name': 'base', 'read-only': true, file: bad }
  const file = { driver: 'file', filename: 'top.qcow2' }
  const top = { driver: 'qcow2', 'node-name': 'top', file, backing: 'base' }
  return {
    folder,
    args: [base, top].flatMap((node) => ['-blockdev', JSON.stringify(node)]),
    disks: [{ nodes: ['top', 'base'].map((nodeName) => ({ nodeName, filename: nodeName, virtualSize: size })) }],
  }
}

async function overlay(path: string, backing: string): Promise<void> {
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', backing, '-F', 'qcow2', path)
}

describe('a pull', () => {
  test('that is finalized and dismissed by hand looks the same at every stage', async () => {
    const sequence = await expectTheSame(await chain(), async ({ client, look, finish }) => {
      await look('query-version', 'query-name', 'query-uuid', 'query-status', 'query-migrate', 'query-cpus-fast')
      await look(...queries)
      await client.execute('block-stream', { 'job-id': 'j', device: 'vda', ...slow, ...byHand })
      await look(...queries)
      await finish('j')
      await client.event('BLOCK_JOB_PENDING')
      await look(...queries)
      await client.execute('human-monitor-command', { 'command-line': 'qemu-io top flush' })
      await client.execute('job-finalize', { id: 'j' })
      await look(...withoutNodes)
      await client.execute('job-dismiss', { id: 'j' })
      await look(...queries)
    })
    expect(sequence).toContain('BLOCK_JOB_PENDING')
  })

  test('that ends by itself raises the same events', async () => {
    const sequence = await expectTheSame(await chain(), async ({ client, look, finish }) => {
      await client.execute('block-stream', { device: 'vda', ...slow })
      await finish('vda')
      await client.status('vda', 'null')
      await look(...queries)
    })
    expect(sequence.at(-1)).toBe('JOB_STATUS_CHANGE null')
  })

  test('that is flushed by a filter and finalized, and dismisses itself, raises the same events', async () => {
    const filter = { driver: 'blkdebug', 'node-name': 'f', image: 'top', 'take-child-perms': ['write-unchanged'] }
    const sequence = await expectTheSame(await chain(), async ({ client, look, refused, finish }) => {
      await client.execute('block-stream', { 'job-id': 'j', device: 'top', ...slow, 'auto-finalize': false })
      await finish('j')
      await client.event('BLOCK_JOB_PENDING')
      await client.execute('blockdev-add', filter)
      await look('query-jobs', 'query-block-jobs')
      const { edges } = await client.execute('x-debug-query-block-graph')
      expect(edges.map(({ name }: { name: string }) => name)).toContain('image')
      await refused('blockdev-add', filter)
      await refused('blockdev-add', { ...filter, 'node-name': 'g', image: 'zz' })
      await client.execute('blockdev-reopen', { options: [filter] })
      await refused('blockdev-reopen', { options: [{ ...filter, 'node-name': 'zz' }] })
      await client.execute('blockdev-del', { 'node-name': 'f' })
      await client.execute('job-finalize', { id: 'j' })
      await client.status('j', 'null')
      await look(...queries)
    })
    expect(sequence).toContain('reply to blockdev-reopen')
  })

  test('down to a base keeps the base, under the name that is given', async () => {
    const sequence = await expectTheSame(await chain(), async ({ client, look, finish }) => {
      const nodes = await client.execute('query-named-block-nodes', { flat: true })
      const base = nodes.find((node: { file: string; drv: string }) => /base/.test(node.file) && node.drv === 'qcow2')
      const kept = { 'base-node': base['node-name'], 'backing-file': 'elsewhere.qcow2' }
      await client.execute('block-stream', { 'job-id': 'j', device: 'top', ...kept, ...slow, ...byHand })
      await look(...queries)
      await finish('j')
      await client.event('BLOCK_JOB_PENDING')
      await client.execute('job-finalize', { id: 'j' })
      await look(...withoutNodes)
      const [{ inserted }] = await client.execute('query-block')
      expect(inserted).toMatchObject({ backing_file: temp.file('base.qcow2'), backing_file_depth: 1 })
      expect(inserted.image).toMatchObject({ 'backing-filename': 'elsewhere.qcow2' })
      await client.execute('job-dismiss', { id: 'j' })
    })
    expect(sequence).toContain('reply to job-finalize')
  })

  test('of a guest whose nodes the user made leaves them in place', async () => {
    const sequence = await expectTheSame(await chainOfGuest(), async ({ client, look, refused, finish }) => {
      await look(...queries)
      const [{ device, qdev, inserted }] = await client.execute('query-block')
      expect({ device, qdev, node: inserted['node-name'] }).toEqual({
        ...{ device: '', qdev: '/machine/peripheral/disk0/virtio-backend', node: 'top' },
      })
      await look('query-cpus-fast')
      await refused('block-stream', { device: 'disk0' })
      await client.execute('block-stream', { 'job-id': 'j', device: 'top', ...slow, ...byHand })
      await finish('j')
      await client.event('BLOCK_JOB_PENDING')
      await client.execute('job-finalize', { id: 'j' })
      await client.execute('job-dismiss', { id: 'j' })
      await look('query-block')
      const nodes: { 'node-name': string }[] = await client.execute('query-named-block-nodes', { flat: true })
      expect(nodes.map((node) => node['node-name'])).toEqual(expect.arrayContaining(['top', 'middle', 'base']))
    })
    expect(sequence).toContain('reply to job-dismiss')
  })

  test.each([
    ['by itself', {}],
    ['by hand', byHand],
  ])('of an image with nothing below, ended %s, raises its events before the reply', async (_how, options) => {
    const folder = temp.folder()
    await qemuImg('create', '-q', '-f', 'qcow2', `${folder}/top.qcow2`, String(size))
    const args = ['-drive', 'if=none,id=vda,file=top.qcow2,format=qcow2']
    const disks = [{ device: 'vda', nodes: [{ filename: 'top.qcow2', virtualSize: size }] }]
    const sequence = await expectTheSame({ folder, args, disks }, async ({ client, look }) => {
      await client.execute('block-stream', { device: 'vda', ...options })
      await look(...queries)
    })
    expect(sequence.at(-1)).toBe('reply to block-stream')
  })

  test('raises the same when it is paused, drained, resumed and cut short by quit', async () => {
    const sequence = await expectTheSame(await chain(), async ({ client, look, finish }) => {
      await client.execute('cont')
      await client.execute('block-stream', { 'job-id': 'j', device: 'vda', ...slow })
      await untilItSleeps(client)
      await client.execute('job-pause', { id: 'j' })
      await look('query-jobs', 'query-block-jobs')
      await client.execute('job-resume', { id: 'j' })
      await finish('j')
      await client.status('j', 'null')
      await client.execute('quit')
      await client.closed
    })
    expect(sequence.slice(-2)).toEqual(['SHUTDOWN', 'reply to quit'])
  })
})

/** A job in the midst of an I/O pauses later; one that waits for its limit pauses at once. */
async function untilItSleeps(client: { execute(command: string): Promise<{ busy: boolean }[]> }): Promise<void> {
  while ((await client.execute('query-block-jobs'))[0]?.busy) await new Promise((resolve) => setImmediate(resolve))
}

describe('a cancel', () => {
  test.each([
    ['block-job-cancel', { device: 'j' }],
    ['job-cancel', { id: 'j' }],
  ])('of a running job by %s raises the same events', async (command, args) => {
    const sequence = await expectTheSame(await chain(), async ({ client, look }) => {
      await client.execute('block-stream', { 'job-id': 'j', device: 'vda', ...slow })
      await untilItSleeps(client)
      await client.execute(command, args)
      await look(...queries)
    })
    expect(sequence).toContain('BLOCK_JOB_CANCELLED')
  })

  test('of a paused job is refused without force, and shows in the job until it is dismissed', async () => {
    const sequence = await expectTheSame(await chain(), async ({ client, look, refused }) => {
      await client.execute('block-stream', { 'job-id': 'j', device: 'vda', ...slow, ...byHand })
      await untilItSleeps(client)
      await client.execute('job-pause', { id: 'j' })
      await refused('block-job-cancel', { device: 'j' })
      await client.execute('block-job-cancel', { device: 'j', force: true })
      await look(...withoutNodes)
      await client.execute('job-dismiss', { id: 'j' })
    })
    expect(sequence).toContain('JOB_STATUS_CHANGE aborting')
  })

  test('of a pending job keeps the backing file', async () => {
    const sequence = await expectTheSame(await chain(), async ({ client, look, finish }) => {
      await client.execute('block-stream', { 'job-id': 'j', device: 'vda', ...slow, ...byHand })
      await finish('j')
      await client.event('BLOCK_JOB_PENDING')
      await client.execute('job-cancel', { id: 'j' })
      await look(...withoutNodes)
      await client.execute('job-dismiss', { id: 'j' })
      await look(...queries)
    })
    expect(sequence).toContain('BLOCK_JOB_CANCELLED')
  })
})

test('QEMU dies when its nodes are listed while a stream is concluded and not dismissed', async () => {
  const sequence = await expectTheSame(await chain(), async ({ client, refused, finish }) => {
    await client.execute('block-stream', { 'job-id': 'j', device: 'vda', ...slow, ...byHand })
    await finish('j')
    await client.event('BLOCK_JOB_PENDING')
    await client.execute('job-finalize', { id: 'j' })
    await refused('block-stream', { 'job-id': 'k', device: 'top' })
    await refused('query-named-block-nodes', { flat: true })
    await client.closed
  })
  expect(sequence.at(-1)).toBe('reply to block-stream')
})

describe('an I/O error', () => {
  const jobs = ['query-jobs', 'query-block-jobs']

  test.each(['report', 'ignore'])('under on-error=%s fails the job', async (policy) => {
    const sequence = await expectTheSame(await failing(), async ({ client, look, fail, finish }) => {
      const options = { 'on-error': policy, ...byHand, speed: 1 }
      await client.execute('block-stream', { 'job-id': 'j', device: 'top', ...options })
      fail('j')
      await client.event('BLOCK_JOB_ERROR')
      if (policy === 'ignore') await finish('j')
      await client.status('j', 'concluded')
      await look(...jobs)
      await client.execute('job-dismiss', { id: 'j' })
    })
    expect(sequence).toContain('BLOCK_JOB_COMPLETED Input/output error')
  })

  test('under on-error=stop pauses the job, which continues when it is resumed', async () => {
    const sequence = await expectTheSame(await failing(), async ({ client, look, fail, finish }) => {
      await client.execute('block-stream', { 'job-id': 'j', device: 'top', 'on-error': 'stop', ...slow })
      fail('j')
      await client.status('j', 'paused')
      await look(...jobs)
      await client.execute('block-job-resume', { device: 'j' })
      await finish('j')
      await client.status('j', 'null')
    })
    expect(sequence).toContain('JOB_STATUS_CHANGE paused')
  })
})

test('refusals have the same words', async () => {
  const stream = { 'job-id': 'k', device: 'vda' }
  const sequence = await expectTheSame(await chain(), async ({ client, refused }) => {
    await refused('nope', {})
    await refused('qmp_capabilities', {})
    await refused('block-stream', {})
    await refused('block-stream', { device: 1 })
    await refused('block-stream', { ...stream, speed: 'fast' })
    await refused('block-stream', { ...stream, 'on-error': 'stopp' })
    await refused('block-stream', { ...stream, 'backing-mask-protocol': true })
    await refused('block-stream', { device: 'nope' })
    await refused('block-stream', { device: 'vda', 'job-id': '1abc' })
    await refused('block-stream', { ...stream, base: 'x' })
    await refused('block-stream', { ...stream, base: 'x', 'base-node': 'y' })
    await refused('block-stream', { ...stream, base: 'x', bottom: 'y' })
    await refused('block-stream', { ...stream, bottom: 'x', 'base-node': 'y' })
    await refused('block-stream', { ...stream, 'base-node': 'x' })
    await refused('block-stream', { ...stream, 'base-node': 'top' })
    await refused('block-stream', { ...stream, bottom: 'x' })
    await refused('block-stream', { ...stream, 'backing-file': 'x' })
    await refused('block-stream', { ...stream, speed: -1 })
    await refused('block-stream', { ...stream, 'filter-node-name': 'top' })
    await refused('block-job-cancel', { device: 'k' })
    await refused('job-cancel', { id: 'k' })
    await refused('blockdev-del', { 'node-name': 'zz' })
    await client.execute('block-stream', { 'job-id': 'j', device: 'vda', ...slow })
    await untilItSleeps(client)
    await refused('block-stream', { ...stream, 'job-id': 'j' })
    await refused('block-stream', stream)
    await refused('job-complete', { id: 'j' })
    await refused('job-finalize', { id: 'j' })
    await refused('job-dismiss', { id: 'j' })
    await refused('job-resume', { id: 'j' })
    await refused('block-job-set-speed', { device: 'j', speed: -1 })
    await client.execute('job-pause', { id: 'j' })
    await refused('job-pause', { id: 'j' })
    const flush = { 'command-line': 'qemu-io zz flush' }
    expect(await client.execute('human-monitor-command', flush)).toMatch(/^Error: Cannot find/)
  })
  expect(sequence).toContain('reply to nope')
})

test('a node without a drive wants a job id', async () => {
  const sequence = await expectTheSame(await failing(), ({ refused }) => refused('block-stream', { device: 'top' }))
  expect(sequence).toEqual(['reply to block-stream'])
})

test('malformed commands get the same words', async () => {
  const wrong = ['{}', '[]', '{"execute": 1}', '{"execute": "x", "arguments": []}', '{"execute": "x", "foo": 1}']
  const sequence = await expectTheSame(await chain(), async ({ client }) => {
    for (const text of wrong) {
      client.write(text)
      await client.stray()
    }
    client.write('{"execute": "query-name"}{"execute": "query-na')
    client.write('me", "id": 1000}')
    while (client.messages.at(-1).id !== 1000) await new Promise((resolve) => setImmediate(resolve))
  })
  expect(sequence).toHaveLength(wrong.length)
})
