// SPDX-License-Identifier: Apache-2.0
//
// Node's permissions and the addon: without --allow-addons the error names the flag, with it the addon loads.

import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { run } from '../support/processes/run-program.js'
import { TempFolder } from '../support/temp-folder.js'

const root = join(import.meta.dirname, '../..')
const temp = new TempFolder('loading')
afterAll(() => temp.remove())

/** Node 20 has it under its first name. */
const permission = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

/** Looks at an image that is not there, which loads the addon. */
function inspect(entry: string, ...flags: readonly string[]) {
  const script = `import { inspectChain } from ${JSON.stringify(join(entry, 'dist/index.js'))}
    await inspectChain('/nowhere.qcow2').catch((error) => console.log(error.message))`
  return run(process.execPath, ['--no-warnings', ...flags, '--input-type=module', '--eval', script])
}

describe('under --permission', () => {
  it('an addon that is not allowed is refused with the flag that allows it', async () => {
    const { stdout, stderr } = await inspect(root, permission, '--allow-fs-read=*')
    expect(stderr).toBe('')
    expect(stdout).toMatch(
      /^native addon cannot be loaded: Node runs with --permission, which forbids addons; add --allow-addons \(tried '/,
    )
  })

  it('an addon that is allowed is loaded', async () => {
    const { stdout } = await inspect(root, permission, '--allow-fs-read=*', '--allow-addons')
    expect(stdout).toContain('/nowhere.qcow2')
    expect(stdout).not.toContain('native addon')
  })

  it('an addon that may not be read is reported as that, with the folder', async () => {
    const folders = ['dist', 'node_modules', 'package.json'].map((name) => `--allow-fs-read=${join(root, name)}`)
    const { stdout } = await inspect(root, permission, ...folders, '--allow-addons')
    expect(stdout).toContain(`may not read the package; add --allow-fs-read='${root}' (no addon in`)
  })
})

describe('without a permission model', () => {
  it('--no-addons is named', async () => {
    const { stdout } = await inspect(root, '--no-addons')
    expect(stdout).toContain('native addon cannot be loaded: Node runs with --no-addons; leave that out (tried')
  })

  it('a package without an addon says so, and not how to build one', async () => {
    const folder = temp.folder('package')
    mkdirSync(join(folder, 'prebuilds'))
    for (const name of ['dist', 'package.json', 'node_modules']) symlinkSync(join(root, name), join(folder, name))
    const { stdout } = await inspect(folder, '--preserve-symlinks')
    expect(stdout).toContain('the package lacks its folder prebuilds; install it again')
    expect(stdout).toContain(`no addon in '${folder}/build/Release'`)
  })
})
