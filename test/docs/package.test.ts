// SPDX-License-Identifier: Apache-2.0
//
// What the packed package contains: every page that the README links to, and nothing that only a build needs. It is
// listed from the checkout as it is, so this runs after a build, as every test does.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readDocument, root } from './code-blocks.js'

function packedFiles(): string[] {
  const listed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: fileURLToPath(root),
    encoding: 'utf8',
  })
  const [{ files }] = JSON.parse(listed) as [{ files: { path: string }[] }]
  return files.map(({ path }) => path)
}

describe('the package', () => {
  const files = packedFiles()

  it('contains every file that the README links to', () => {
    const targets = [...readDocument('README.md').matchAll(/\]\(([^)\s#:]+)[^)]*\)/g)].flatMap(([, target = '']) =>
      target.endsWith('/') ? [] : [target],
    )
    expect(targets.length).toBeGreaterThan(5)
    expect(targets.filter((target) => !files.includes(target))).toEqual([])
  })

  it('contains the command, and no state of a build', () => {
    expect(files).toContain('dist/cli/main.js')
    expect(files.filter((file) => file.startsWith('dist/.'))).toEqual([])
  })
})
