// SPDX-License-Identifier: Apache-2.0
//
// Writes what the package has beside its code, from dist: the manual pages into man/, the completions into
// completions/, both from the table of commands, and the reference of all types into docs/reference/.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application } from 'typedoc'
import { manPages } from './man-pages.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** A module of dist, which there is only after a build. @param {string} path */
const built = (path) => import(new URL(`../dist/cli/${path}`, import.meta.url).href)

/** Replaces a folder by files with these texts. @param {string} folder @param {Iterable<[string, string]>} texts */
function writeFolder(folder, texts) {
  rmSync(join(root, folder), { recursive: true, force: true })
  mkdirSync(join(root, folder))
  for (const [name, text] of texts) writeFileSync(join(root, folder, name), text)
}

async function writeReference() {
  const out = join(root, 'docs/reference')
  rmSync(out, { recursive: true, force: true })
  const typedoc = await Application.bootstrapWithPlugins({
    entryPoints: ['lib/index.ts', 'lib/libvirt.ts'].map((name) => join(root, name)),
    tsconfig: join(root, 'tsconfig.json'),
    name: 'blockpull',
    readme: 'none',
    disableSources: true,
    disableGit: true,
    excludePrivate: true,
    excludeExternals: true,
    // libvirt's constants, a page each otherwise.
    excludeNotDocumented: true,
    excludeNotDocumentedKinds: ['Variable'],
    hideGenerator: true,
    githubPages: false,
    logLevel: 'Warn',
    validation: { notExported: false },
  })
  const project = await typedoc.convert()
  if (project === undefined) throw new Error('the reference cannot be made; TypeDoc says why above')
  await typedoc.generateDocs(project, out)
  if (typedoc.logger.hasErrors() || typedoc.logger.hasWarnings()) {
    throw new Error('the reference is not clean; TypeDoc says why above')
  }
}

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const { commands } = await built('commands.js')
const { commonOptions, programOptions } = await built('args.js')
const { exitMeanings } = await built('exit-codes.js')
const [{ bashCompletion }, { zshCompletion }, { fishCompletion }] = await Promise.all(
  ['bash', 'zsh', 'fish'].map((shell) => built(`completion/${shell}.js`)),
)

writeFolder('man', manPages({ commands, commonOptions, programOptions, exitMeanings, version }))
writeFolder('completions', [
  ['blockpull.bash', bashCompletion(commands)],
  ['_blockpull', zshCompletion(commands)],
  ['blockpull.fish', fishCompletion(commands)],
])
await writeReference()
