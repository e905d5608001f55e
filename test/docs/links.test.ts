// SPDX-License-Identifier: Apache-2.0
//
// Every relative link in README, CONTRIBUTING, CHANGELOG and docs/ leads to a file that is there. Links to other
// sites are not followed: a test that needs the network fails for reasons of its own.

import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { documents, readDocument, root } from './code-blocks.js'

/** The targets of a document's links that name a file, as written but for the part behind '#'. */
function relativeLinks(markdown: string): string[] {
  return [...markdown.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
}

/** The links of a document that lead nowhere. */
function deadLinks(file: string, markdown: string): string[] {
  return relativeLinks(markdown).filter((target) => !existsSync(new URL(target, new URL(file, root))))
}

describe('a relative link', () => {
  it.each([...documents(), 'CONTRIBUTING.md', 'CHANGELOG.md'])('of %s leads to a file', (file) => {
    expect(deadLinks(file, readDocument(file))).toEqual([])
  })

  it('that leads nowhere is noticed, whatever folder its document lies in', () => {
    expect(deadLinks('README.md', '[a](docs/nowhere.md), [b](docs/formats.md#limits)')).toEqual(['docs/nowhere.md'])
    expect(deadLinks('docs/a.md', '[a](formats.md), [b](docs/formats.md)')).toEqual(['docs/formats.md'])
  })

  it('is no link to another site, and no place on the same page', () => {
    expect(relativeLinks('[a](https://semver.org) [b](mailto:a@b.c) [c](#limits)')).toEqual([])
  })

  it('is found where there are some', () => {
    expect(relativeLinks(readDocument('README.md')).length).toBeGreaterThan(5)
  })
})
