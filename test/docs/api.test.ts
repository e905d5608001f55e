// SPDX-License-Identifier: Apache-2.0
//
// docs/api.md and lib/index.ts say the same: every export is named, every method has a heading, every option a row that
// lists the calls that take it, every result a table of its fields, every error code a row. Nothing else is in them.

import { describe, expect, it } from 'vitest'
import { BlockPullError, type ErrorCode, errorCodes } from '../../lib/index.js'
import { readDocument } from './code-blocks.js'
import { PublicTypes } from './public-types.js'
import { differences, headingsOf, quoted, rowsOf, sectionOf } from './tables.js'

const page = readDocument('docs/api.md')
const types = new PublicTypes()

/** The type of the options of each call; of those that take a limit alone, the limit's. */
const optionTypes: Readonly<Record<string, string>> = {
  pullImage: 'PullImageOptions',
  plan: 'PlanOptions',
  inspectChain: 'ImageWalkOptions',
  digestImage: 'ImageWalkOptions',
  checkImage: 'CheckImageOptions',
  imageInfo: 'ImageInfoOptions',
  compareImages: 'CompareImagesOptions',
  createImage: 'CreateImageOptions',
  connect: 'ConnectDescription',
  'domain.blockPull': 'BlockPullOptions',
  'domain.blockRebase': 'BlockRebaseOptions',
  'domain.plan': 'DiskPlanOptions',
  'domain.blockJobInfo': 'SizeOptions',
  'domain.blockJobAbort': 'BlockJobAbortOptions',
  'domain.blockJobSetSpeed': 'Limit',
  'job.setBandwidth': 'Limit',
}

const tabled = headingsOf(page)
  .flatMap((heading) => /^### `(\w+)`$/.exec(heading)?.[1] ?? [])
  .filter((name) => rowsOf(sectionOf(page, `### \`${name}\``)).length > 0)

/** The members of the objects that calls give, with the name by which the page calls the object. */
function members(type: string, object: string): string[] {
  return types.membersOf(type).map((name) => (name.startsWith('[') ? `${object}${name}` : `${object}.${name}`))
}

/** The calls and fields that headings and lists name, without their arguments. */
function described(object: string): string[] {
  const lines = page.split('\n').filter((line) => /^(#### |- |`)/.test(line))
  const names = lines.flatMap((line) => (/^- `/.test(line) || !line.startsWith('- ') ? quoted(line) : []))
  const calls = names.map((name) => name.replace(/\(.*\)$/, ''))
  return [...new Set(calls.filter((name) => name.startsWith(`${object}.`) || name.startsWith(`${object}[`)))]
}

describe('docs/api.md', () => {
  it('names every export', () => {
    const words = new Set(page.match(/\w+/g))
    expect(types.names.filter((name) => !words.has(name))).toEqual([])
  })

  it('has a heading for every function', () => {
    const functions = headingsOf(page).flatMap((heading) => /^### `(\w+)\(/.exec(heading)?.[1] ?? [])
    const real = [...Object.keys(optionTypes).filter((name) => !name.includes('.')), 'shimPath']
    expect(differences(functions, real)).toEqual([])
    expect(types.names).toEqual(expect.arrayContaining(real))
  })

  it.each([
    ['Connection', 'connection'],
    ['Domain', 'domain'],
    ['BlockJob', 'job'],
  ])('describes every member of %s', (type, object) => {
    expect(differences(described(object), members(type, object))).toEqual([])
  })

  it.each(tabled)('has every field of %s', (name) => {
    const fields = rowsOf(sectionOf(page, `### \`${name}\``)).flatMap(([cell = '']) => quoted(cell))
    const real =
      name === 'BlockPullError' ? types.membersOf(name).filter((field) => field !== 'name') : types.membersOf(name)
    expect(differences(fields, real)).toEqual([])
  })

  it('has tables of results', () => {
    expect(tabled.length).toBeGreaterThan(10)
  })

  it('has a row for every option, with the calls that take it', () => {
    const rows = rowsOf(sectionOf(page, '## Options').split('\n### ')[0] ?? '')
    const documented = rows.flatMap(([name = '', calls = '']) =>
      quoted(calls).map((call) => `${call} ${quoted(name)[0]}`),
    )
    const real = Object.entries(optionTypes).flatMap(([call, type]) =>
      types.membersOf(type).map((option) => `${call} ${option}`),
    )
    expect(differences(documented, real)).toEqual([])
  })

  it('has a row for every error code, and says which can be tried again', () => {
    const rows = rowsOf(sectionOf(page, '### Error codes'))
    const documented = rows.map(([code = '', retryable = '']) => `${quoted(code)[0]} ${retryable}`)
    const real = errorCodes.map((code) => `${code} ${isRetryable(code) ? 'yes' : 'no'}`)
    expect(differences(documented, real)).toEqual([])
  })

  it.each(['BlockJobType', 'BlockJobStatus'])('has the numbers of %s', async (name) => {
    const numbers = (await import('../../lib/index.js')) as unknown as Record<string, Record<string, number>>
    const rows = rowsOf(sectionOf(page, `### \`${name}\``)).map(([field = '', number = '']) => [
      quoted(field)[0],
      Number(number),
    ])
    expect(Object.fromEntries(rows)).toEqual(numbers[name])
  })
})

function isRetryable(code: ErrorCode): boolean {
  return new BlockPullError({ code, message: '', virCode: 0, virDomain: 0 }).retryable
}

describe('a page that is wrong is noticed', () => {
  it('when it lacks something, has what is not there, or has something twice', () => {
    expect(differences(['a', 'b'], ['a', 'b'])).toEqual([])
    expect(differences(['a'], ['a', 'b'])).toEqual(['b is not in the document'])
    expect(differences(['a', 'b'], ['a'])).toEqual(['b does not exist'])
    expect(differences(['a', 'a'], ['a'])).toEqual(['a is there twice'])
  })

  it('since its sections end where the next one begins, and its tables have cells', () => {
    const text = '## A\n\n| x | y |\n| --- | --- |\n| `a` | 1 |\n\n### B\n\n| `b` | 2 |\n\n## C\n\n| `c` | 3 |\n'
    expect(rowsOf(sectionOf(text, '## A'))).toEqual([
      ['`a`', '1'],
      ['`b`', '2'],
    ])
    expect(rowsOf(sectionOf(text, '### B'))).toEqual([['`b`', '2']])
    expect(sectionOf(text, '## D')).toBe('')
  })

  it('since the compiler finds what is exported', () => {
    expect(types.names).toContain('BlockJobEvent')
    expect(types.membersOf('Limit')).toEqual(['bandwidth', 'bytesPerSecond'])
    expect(types.membersOf('BlockJob')).toContain('[Symbol.asyncIterator]')
    expect(() => types.membersOf('Nothing')).toThrow("'Nothing' is not exported")
  })
})
