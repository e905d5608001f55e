// SPDX-License-Identifier: Apache-2.0
//
// The packed package installed by other package managers than the npm at hand, without scripts; and on Bun. They are
// large, so they run in the soak run.

import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { TempFolder } from '../support/temp-folder.js'
import { Consumer, movedBytes, tarball } from './consumer.js'
import { fetched, fetchTimeout, nodeOf } from './tools.js'

const temp = new TempFolder('managers')
afterAll(() => temp.remove())

const good = { state: 'completed', bytesMoved: movedBytes, isSame: true }

/** What two pulls in workers print, on a program that takes scripts as Node does. */
async function pullsInWorkers(project: Consumer, program: string): Promise<unknown> {
  const images = [await project.overlay(), await project.overlay()]
  const { code, stdout, stderr } = await project.run(program, 'pull-process.mjs', 'workers', ...images)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

it.each([
  ['npm', '12.2.2', 'bin/npm-cli.js', ['install', '--ignore-scripts']],
  ['pnpm', '12.21.0', 'bin/pnpm.mjs', ['add', '--ignore-scripts']],
])(
  '%s %s installs it, and it pulls',
  async (name, version, file, command) => {
    const project = new Consumer(temp, await nodeOf('24.22.3'))
    const manager = join(await fetched(name, version), file)
    expect(await project.run(project.node, manager, ...command, tarball())).toMatchObject({ code: 0 })
    expect(await pullsInWorkers(project, project.node)).toEqual([good, good])
  },
  fetchTimeout,
)

it(
  'Bun installs it, and it pulls',
  async () => {
    const project = new Consumer(temp)
    const bun = join(await fetched('@oven/bun-linux-x64', '1.4.5'), 'bin/bun')
    expect(await project.run(bun, 'add', '--ignore-scripts', tarball())).toMatchObject({ code: 0 })
    expect(await pullsInWorkers(project, bun)).toEqual([good, good])
  },
  fetchTimeout,
)
