// SPDX-License-Identifier: Apache-2.0
//
// The house rules, enforced: layers, sizes, names, words, the list of sources, the package. Each rule is run
// over the repository, where it must find nothing, and over a bad sample, where it must find something; a gate
// that cannot fail is no gate.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkCycles, checkErrorMaker, checkImports, checkIncludes, checkLoader, checkWriters } from './tidy/layers.js'
import { checkNamedFiles } from './tidy/named-files.js'
import { checkFileLengths, checkFunctions, checkLineLengths, findFunctions } from './tidy/sizes.js'
import { repository, repositoryFiles, type SourceFile } from './tidy/source-files.js'
import { checkSourceList } from './tidy/source-list.js'
import { checkHeads, checkNames, checkTopLevel, checkWords } from './tidy/words.js'

const files = repositoryFiles()
const read = (path: string): string => readFileSync(join(repository, path), 'utf8')
const sample = (path: string, text: string): SourceFile[] => [{ path, text }]

describe('layers', () => {
  test('native files include only from their own folder and from those below', () => {
    expect(checkIncludes(files)).toEqual([])
  })

  test.each([
    ['native/core/io/a.h', '#include "core/image/image.h"'],
    ['native/core/image/a.cc', '#include "job/job.h"'],
    ['native/job/a.cc', '#include "driver/pull.h"'],
    ['native/job/a.cc', '#include "core/image/image.h"'],
    ['native/driver/a.cc', '#include "napi/convert.h"'],
    ['native/napi/a.cc', '#include "driver/pull.h"'],
    ['native/driver/a.cc', '#include "driver/qemu/flush.h"'],
    ['native/driver/qemu/a.cc', '#include "virt/session/checks.h"'],
    ['native/virt/a.cc', '#include <napi.h>'],
    ['native/driver/a.cc', '#include <liburing.h>'],
    ['native/job/a.cc', '#include "job.h"'],
    ['native/elsewhere/a.cc', '#include "core/base/result.h"'],
  ])('a wrong include in %s is found: %s', (path, text) => {
    const below = ['core/base/result.h', 'core/image/image.h', 'job/job.h', 'driver/pull.h', 'driver/qemu/flush.h']
    const known = [...below, 'virt/session/checks.h', 'napi/convert.h'].map((target) => ({
      path: `native/${target}`,
      text: '',
    }))
    expect(checkIncludes([...sample(path, text), ...known])).toHaveLength(1)
  })

  test('no module includes itself by way of others', () => {
    expect(checkCycles(files)).toEqual([])
    const include = (from: string, to: string) => ({ path: `native/job/${from}`, text: `#include "job/${to}"` })
    const line = [include('a.h', 'b.h'), include('a.cc', 'a.h'), include('b.cc', 'c.h')]
    expect(checkCycles(line)).toEqual([])
    expect(checkCycles([...line, include('c.cc', 'a.h')])).toHaveLength(1)
  })

  test('lib/ imports nothing but itself and Node, and the command only the public entries', () => {
    expect(checkImports(files)).toEqual([])
  })

  test.each([
    ['lib/domain.ts', "import { x } from './cli/args.js'"],
    ['lib/cli/main.ts', "import { x } from '../native.js'"],
    ['lib/domain.ts', "import x from 'lodash'"],
    ['lib/domain.ts', "export * from '../test/support/images.js'"],
  ])('a wrong import in %s is found: %s', (path, text) => {
    expect(checkImports(sample(path, text))).toHaveLength(1)
  })

  test('only lib/native.ts loads the addon', () => {
    expect(checkLoader(files)).toEqual([])
    expect(checkLoader(sample('lib/images.ts', "const load = require('node-gyp-build')"))).toHaveLength(1)
    expect(checkLoader(sample('scripts/a.mjs', "createRequire(here)('./blockpull.node')"))).toHaveLength(1)
  })

  test('the command escapes names in everything that it writes for people', () => {
    expect(checkWriters(files)).toEqual([])
    const write = (what: string) => checkWriters(sample('lib/cli/commands/a.ts', `context.out.write(${what})`))
    expect([write('name'), write('`a`'), write('formatTable(rows)')].map(({ length }) => length)).toEqual([1, 1, 0])
  })

  test('only lib/results/errors.ts makes a BlockPullError', () => {
    expect(checkErrorMaker(files)).toEqual([])
    expect(checkErrorMaker(sample('lib/options/options.ts', 'throw new BlockPullError({ code })'))).toHaveLength(1)
  })
})

describe('sizes', () => {
  test('no file is too long', () => {
    expect(checkFileLengths(files)).toEqual([])
  })

  test('a file that is too long is found', () => {
    expect(checkFileLengths(sample('native/job/a.cc', '\n'.repeat(501)))).toHaveLength(1)
    expect(checkFileLengths(sample('lib/a.ts', '\n'.repeat(401)))).toHaveLength(1)
  })

  test('no line is too long', () => {
    expect(checkLineLengths(files)).toEqual([])
  })

  test('a line that is too long is found', () => {
    expect(checkLineLengths(sample('native/job/a.cc', 'x'.repeat(101)))).toHaveLength(1)
    expect(checkLineLengths(sample('lib/a.ts', 'x'.repeat(121)))).toHaveLength(1)
  })

  test('no function is too long or takes too much', () => {
    expect(checkFunctions(files)).toEqual([])
  })

  test.each([
    ['C++ method', 'native/job/a.cc', 'Result<void> Job::run(int a) const {', '}'],
    ['C++ constructor', 'native/job/a.h', 'class Job {\n public:\n  explicit Job(int a) : a_(a) {', '}\n};'],
    ['C++ test', 'test/native/job/a_test.cc', 'TEST(Job, Runs) {', '}'],
    ['function', 'lib/a.ts', 'export async function pull(a: string): Promise<void> {', '}'],
    ['method', 'lib/a.ts', 'export class Job {\n  async *[Symbol.iterator](): A {\n  }\n  end(): void {', '}\n}'],
  ])('a %s that is too long is found', (_kind, path, head, tail) => {
    const body = '  if (a) {\n    call("}");  // }\n  }\n'
    expect(checkFunctions(sample(path, `${head}\n${body.repeat(23)}${tail}\n`))).toHaveLength(1)
    expect(checkFunctions(sample(path, `${head}\n${body.repeat(22)}${tail}\n`))).toEqual([])
  })

  test('a function with six parameters is found', () => {
    const six = 'void f(int a, std::map<int, int> b, std::function<void(int, int)> c, int d, int e, int g) {\n}\n'
    expect(checkFunctions(sample('native/job/a.cc', six))).toHaveLength(1)
    expect(checkFunctions(sample('native/job/a.cc', six.replace(', int g', '')))).toEqual([])
    expect(checkFunctions(sample('native/capi/a.cc', six))).toHaveLength(1)
    expect(checkFunctions(sample('native/capi/a.cc', six.replace('f(', 'virDomainF(')))).toEqual([])
  })

  test('functions are found in the files that are there', () => {
    const found = files.filter((file) => /^native\/.*\.cc$|^lib\//.test(file.path)).flatMap(findFunctions)
    expect(found.length).toBeGreaterThan(100)
  })
})

describe('words and names', () => {
  test('every source file begins with its licence and a note', () => {
    expect(checkHeads(files)).toEqual([])
  })

  test.each([
    ['lib/a.ts', 'export {}\n'],
    ['lib/a.ts', '// SPDX-License-Identifier: Apache-2.0\n\nexport {}\n'],
    ['scripts/a', '#!/usr/bin/env bash\nset -e\n'],
    ['native/job/a.cc', '// SPDX-License-Identifier: MIT\n//\n// A note.\n// More of it.\n'],
  ])('a missing head is found in %s', (path, text) => {
    expect(checkHeads(sample(path, text))).toHaveLength(1)
  })

  test('a file that a comment names is there', () => {
    expect(checkNamedFiles(files)).toEqual([])
    const naming = (name: string) => checkNamedFiles(sample('native/job/a.h', `// See ${name}.\nint b; // ${name}\n`))
    expect([naming('job/a.h'), naming('job/b.h'), naming('gone.cc')].map(({ length }) => length)).toEqual([0, 2, 2])
  })

  test('no word is banned', () => {
    expect(checkWords(files)).toEqual([])
  })

  test.each([
    ['native/job/a.cc', '// TODO: later'],
    ['test/pull/a.test.ts', "test.skip('x', () => {})"],
    ['test/pull/a.test.ts', "describe.only('x', () => {})"],
    ['test/native/job/a_test.cc', 'TEST(Job, DISABLED_Runs) {}'],
    ['docs/a.md', 'see /root/notes'],
    ['package-lock.json', '"resolved": "https://example.org"'],
    ['lib/a.ts', '// @ts-ignore'],
    ['native/job/a.cc', '  static std::weak_ptr<Engine> current;'],
    ['native/job/a.cc', '  static const std::string name = text(1);'],
  ])('a banned word is found in %s: %s', (path, text) => {
    expect(checkWords(sample(path, text))).toHaveLength(1)
  })

  test('every file name says what is inside, in the case of its folder', () => {
    expect(checkNames(files)).toEqual([])
  })

  test.each([['native/core/base/utils.h'], ['lib/job-helpers.ts'], ['native/job/rateLimiter.cc'], ['lib/blockJob.ts']])(
    'a bad name is found: %s',
    (path) => {
      expect(checkNames(sample(path, ''))).toHaveLength(1)
    },
  )
})

describe('the top of the repository', () => {
  test('has what belongs there, and all of it', () => {
    expect(checkTopLevel(files)).toEqual([])
  })

  test('a stray file or folder is found, and one that is listed and gone', () => {
    const stray = ['notes.md', 'core', 'tmp/a.ts'].flatMap((path) => sample(path, ''))
    expect(checkTopLevel([...files, ...stray])).toEqual([
      "'core' does not belong at the top of the repository",
      "'notes.md' does not belong at the top of the repository",
      "'tmp' does not belong at the top of the repository",
    ])
    const others = files.filter(({ path }) => path !== 'LICENSE')
    expect(checkTopLevel(others)).toEqual(["'LICENSE' is missing at the top of the repository"])
  })
})

describe('the list of sources', () => {
  test('names the files that are on disk', () => {
    expect(checkSourceList(read('native/sources.gypi'), files)).toEqual([])
  })

  test('complains about a file that is missing on either side, is misplaced or out of order', () => {
    const lists = { core_sources: ['native/core/b.cc', 'native/core/a.cc'], job_sources: ['native/driver/c.cc'] }
    const others = ['driver', 'virt', 'napi', 'capi', 'native_test', 'fuzz', 'bench']
    const empty = Object.fromEntries(others.map((name) => [`${name}_sources`, []]))
    const disk = ['native/core/a.cc', 'native/driver/c.cc', 'test/native/d_test.cc', 'test/fuzz/e_fuzz.cc'].flatMap(
      (path) => sample(path, ''),
    )
    expect(checkSourceList(JSON.stringify({ variables: { ...lists, ...empty } }), disk)).toEqual([
      'test/native/d_test.cc is on disk and not in the list',
      'test/fuzz/e_fuzz.cc is on disk and not in the list',
      'native/core/b.cc is in the list and not on disk',
      "'core_sources' is not sorted",
      "native/driver/c.cc does not belong in 'job_sources'",
    ])
  })
})

describe('the package', () => {
  const manifest = JSON.parse(read('package.json')) as {
    gypfile: boolean
    scripts: Record<string, string>
    dependencies: Record<string, string>
  }

  test('has at most 15 scripts, one dependency, and no build at install', () => {
    expect(Object.keys(manifest.scripts).length).toBeLessThanOrEqual(15)
    expect(Object.keys(manifest.dependencies)).toEqual(['node-gyp-build'])
    expect(manifest.gypfile).toBe(false)
    expect(manifest.scripts).not.toHaveProperty('install')
  })
})
