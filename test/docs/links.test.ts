// SPDX-License-Identifier: Apache-2.0
//
// Every relative link in README, CONTRIBUTING, CHANGELOG and docs/ leads to a file that is there, and where it names a
// place in a page, to a heading. Links to other sites are not followed: a test that needs the network fails for reasons
// of its own.

import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { documents, readDocument, root } from './code-blocks.js'
import { headingsOf } from './tables.js'

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

/** The name that a heading has in links, as on GitHub. */
function anchorOf(heading: string): string {
  const text = heading.replace(/^#+ /, '').toLowerCase()
  return text.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')
}

/** The links of a document to places in pages, its own among them, that no heading has. */
function deadPlaces(file: string, markdown: string): string[] {
  return [...markdown.matchAll(/\]\(([^)\s#:]*)#([^)\s]+)\)/g)].flatMap(([, target = '', anchor = '']) => {
    const page = target === '' ? markdown : readFileSync(new URL(target, new URL(file, root)), 'utf8')
    return headingsOf(page).map(anchorOf).includes(anchor) ? [] : [`${target}#${anchor}`]
  })
}

const pages = [...documents(), 'CONTRIBUTING.md', 'CHANGELOG.md']

describe('a relative link', () => {
  it.each(pages)('of %s leads to a file', (file) => {
    expect(deadLinks(file, readDocument(file))).toEqual([])
  })

  it.each(pages)('of %s leads to a heading where it names one', (file) => {
    expect(deadPlaces(file, readDocument(file))).toEqual([])
  })

  it('to a heading that is not there is noticed, on another page and on the same', () => {
    const text =
      '[a](formats.md#limits), [b](formats.md#no-limits), [c](#here-we-are), [d](#nowhere)\n\n## Here, we `are`\n'
    expect(deadPlaces('docs/a.md', text)).toEqual(['formats.md#no-limits', '#nowhere'])
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
