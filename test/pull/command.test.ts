// SPDX-License-Identifier: Apache-2.0
//
// The command as a process: what its exit code and its streams say of a pull that completes, is interrupted, or
// loses its reader. How lines are worded is tested without a process, in test/unit/cli.

import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../support/images/files.js'
import { makeChain, pullWell } from '../support/images/stream-case.js'
import { blockpull, commandFile } from '../support/processes/command.js'
import type { Ended } from '../support/processes/run-program.js'
import { check, difference, flatten, info } from '../support/qemu/qemu.js'
import { TempFolder } from '../support/temp-folder.js'

const temp = new TempFolder('command')
afterAll(() => temp.remove())

function overlay() {
  return makeChain(temp.folder(), { size: '64M', io: ['write -P 1 0 32M'] }, { size: '64M' })
}

/** A pull at 4 MiB/s that has begun to move bytes; `ended` gives its end, 137 for a kill. */
async function slowPull(image: string, ...args: readonly string[]) {
  const child = spawn(process.execPath, [commandFile, 'pull', '--json', '--bandwidth', '4M', image, ...args])
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (text) => (printed[name] += text))
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => resolve({ code: code ?? 137, ...printed }))
  })
  while (!printed.stdout.includes('io_uring')) await sleep(10)
  return { child, ended }
}

/** The JSON lines of a run. */
function events(stdout: string): Record<string, unknown>[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('the command needs one package at run time, the loader of the addon', () => {
  const { dependencies } = JSON.parse(readFileSync(join(dirname(commandFile), '../../package.json'), 'utf8'))
  expect(Object.keys(dependencies)).toEqual(['node-gyp-build'])
  const folder = dirname(commandFile)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  const imported = files.flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(/^(?:import|export)\b.* from ["']([^."'][^"']*)["']/gm)].map(
      ([, specifier]) => specifier,
    ),
  )
  expect(imported.filter((specifier) => !specifier?.startsWith('node:'))).toEqual([])
  expect(imported.length).toBeGreaterThan(5)
})

describe('a pull', () => {
  test('that completes ends with 0 and says so last', async () => {
    const chain = await overlay()
    await flatten(chain.top, `${chain.folder}/flat.raw`)
    const { code, stdout, stderr } = await blockpull('pull', '--json', chain.top)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = events(stdout)
    expect(lines.at(-1)).toMatchObject({ event: 'end', state: 'completed', bytesMoved: 33554432, code: null })
    expect(lines.filter(({ event }) => event === 'end')).toHaveLength(1)
    expect(await info(chain.top)).not.toHaveProperty('backing-filename')
    expect(await difference(`${chain.folder}/flat.raw`, chain.top)).toBeNull()
  })

  test('that is only planned changes nothing', async () => {
    const { top } = await overlay()
    const before = digestOf(top)
    const { code, stdout } = await blockpull('pull', '--dry-run', top)
    expect(code).toBe(0)
    expect(stdout).toMatch(/to move +32\.0 MiB/)
    expect(digestOf(top)).toBe(before)
  })

  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  test.each(signals)('that gets %s ends with 3 at a consistent point', async (signal) => {
    const chain = await overlay()
    const { child, ended } = await slowPull(chain.top)
    child.kill(signal)
    const { code, stdout, stderr } = await ended
    expect(code).toBe(3)
    expect(events(stdout).at(-1)).toMatchObject({ event: 'end', state: 'cancelled', code: 'CANCELLED' })
    expect(stderr).toMatch(/cancelled after .* [KM]iB; what was copied is kept/)
    expect((await check(chain.top)).code).toBe(0)
    await pullWell(chain)
  })

  test('whose terminal is closed ends with 3 at a consistent point', async () => {
    const chain = await overlay()
    const code = `${chain.folder}/code`
    // A shell that hands the hangup on, as an interactive one does, and outlives its terminal to write down the code.
    const pull = `"${process.execPath}" "${commandFile}" pull --bandwidth 4M --timeout 5 "${chain.top}"`
    const leave = `echo $? >"${code}.new"; mv "${code}.new" "${code}"`
    const shell = `trap : HUP; ${pull} & wait $!; kill -HUP $!; wait $!; ${leave}`
    const terminal = spawn('script', ['--quiet', '--command', shell, '/dev/null'], {
      env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm', CI: '' },
    })
    onTestFinished(() => void terminal.kill('SIGKILL'))
    let shown = ''
    terminal.stdout.on('data', (text) => (shown += text))
    while (!shown.includes('io_uring')) await sleep(10)
    terminal.kill('SIGKILL')
    while (!existsSync(code)) await sleep(10)
    expect(readFileSync(code, 'utf8')).toBe('3\n')
    expect((await check(chain.top)).code).toBe(0)
    await pullWell(chain)
  })

  test('that is killed leaves an image that the next pull finishes', async () => {
    const chain = await overlay()
    const { child, ended } = await slowPull(chain.top)
    child.kill('SIGKILL')
    expect((await ended).code).toBe(137)
    expect([0, 3]).toContain((await check(chain.top)).code)
    await pullWell(chain)
  })

  test('whose output is closed continues to its end', async () => {
    const chain = await overlay()
    await flatten(chain.top, `${chain.folder}/flat.raw`)
    const { child, ended } = await slowPull(chain.top, '--bandwidth', '40M')
    child.stdout.destroy()
    expect((await ended).code).toBe(0)
    expect(await info(chain.top)).not.toHaveProperty('backing-filename')
    expect(await difference(`${chain.folder}/flat.raw`, chain.top)).toBeNull()
  })

  test('that runs out of its time ends with 3', async () => {
    const chain = await overlay()
    const { code, stderr } = await blockpull('pull', '--quiet', '--bandwidth', '1M', '--timeout', '1', chain.top)
    expect(code).toBe(3)
    expect(stderr).toMatch(/cancelled/)
    await pullWell(chain)
  })
})

test.each([
  [['pull'], /IMAGE is missing/],
  [['frobnicate'], /unknown command 'frobnicate'/],
  [['pull', '--frobnicate', 'x'], /--frobnicate/],
])('blockpull %j is a mistake in usage: exit code 2, one sentence, where to look', async (args, sentence) => {
  const { code, stdout, stderr } = await blockpull(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(sentence)
  expect(stderr).toMatch(/--help'/)
})
