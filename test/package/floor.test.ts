// SPDX-License-Identifier: Apache-2.0
//
// The link to the symbols of glibc 2.28, tried on a small library: what this machine's glibc would bind to newer
// versions comes out fit for the package, and means what it meant. The check of binaries is the judge.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run, runWell } from '../support/processes/run-program.js'
import { TempFolder } from '../support/temp-folder.js'
import { repository } from '../tidy/source-files.js'

const temp = new TempFolder('floor')
afterAll(() => temp.remove())

const floorFolder = join(repository, 'scripts/floor')

/** One library with the floor and one without, from the same source. */
const project = `cmake_minimum_required(VERSION 3.25)
project(sample LANGUAGES C)
find_program(node_program NAMES node REQUIRED)
set(BLOCKPULL_FLOOR x64)
include(${floorFolder}/floor.cmake)
foreach(target plain low)
  add_library(\${target} SHARED sample.c)
  target_link_options(\${target} PRIVATE -s)
  target_link_libraries(\${target} PRIVATE m)
endforeach()
link_to_floor(low)
`

/** By the names of a new glibc: pthread_create is in libc.so.6, and stat is a function. */
const asksForNewNames = `#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
static void bye(void) {}
static void* body(void* size) { struct stat s; *(long*)size = stat("/proc/self/exe", &s); return size; }
long sample(void) {
  long failed = -1;
  pthread_t thread;
  atexit(bye);
  if (pthread_create(&thread, 0, body, &failed) == 0) pthread_join(thread, 0);
  return failed + (long)fmod((double)failed, 3.0);
}
`

const build = (folder: string) => run('cmake', ['--build', folder])
const judge = (file: string) => run(process.execPath, [join(repository, 'scripts/check-binaries.mjs'), 'x64', file])

describe('a library that is linked to the floor', () => {
  const source = temp.folder('source')
  const built = temp.folder('build')

  beforeAll(async () => {
    writeFileSync(join(source, 'CMakeLists.txt'), project)
    writeFileSync(join(source, 'sample.c'), asksForNewNames)
    await runWell('cmake', ['-S', source, '-B', built, '-G', 'Ninja'])
    expect(await build(built)).toMatchObject({ code: 0 })
  })

  test('asks for nothing newer than glibc 2.28, and for threads where they were then', async () => {
    const { code, stdout, stderr } = await judge(join(built, 'liblow.so'))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [, glibc, needed = ''] = /: (\S+), \d+ bytes, needs (.*)\n$/.exec(stdout) ?? []
    expect(glibc).toBe('GLIBC_2.2.5')
    expect(needed.split(' ').sort()).toEqual(['libc.so.6', 'libm.so.6', 'libpthread.so.0'])
    const plain = await judge(join(built, 'libplain.so'))
    expect(plain.code).toBe(1)
    expect(plain.stderr).toContain("it needs version 'GLIBC_2.34'")
  })

  test('does what it did', async () => {
    const program = join(built, 'program')
    writeFileSync(`${program}.c`, 'long sample(void); int main(void) { return (int)sample(); }')
    for (const name of ['low', 'plain']) {
      await runWell('gcc', [`${program}.c`, '-o', program, `-L${built}`, `-l${name}`, `-Wl,-rpath,${built}`])
      expect(await run(program, [])).toMatchObject({ code: 0 })
    }
  })

  test('is not linked again without need', async () => {
    expect((await build(built)).stdout).toContain('no work to do')
  })

  test('is found unfit when it asks for a symbol that the list lacks', async () => {
    writeFileSync(join(source, 'sample.c'), '#include <stdlib.h>\nlong sample(void) { return random(); }\n')
    expect(await build(built)).toMatchObject({ code: 0 })
    const { code, stderr } = await judge(join(built, 'liblow.so'))
    expect(code).toBe(1)
    expect(stderr).toContain("symbol 'random' is undefined and has no version; add it to scripts/floor/symbols.txt")
  })
})

test('the stand-ins answer as the functions of glibc do', async () => {
  const program = temp.file('compare')
  const sources = [join(import.meta.dirname, 'stand-ins.c'), join(floorFolder, 'stand-ins.c')]
  const warnings = ['-Wall', '-Wextra', '-Werror']
  await runWell('gcc', ['-std=gnu11', ...warnings, '-fvisibility=hidden', ...sources, '-o', program])
  const { code, stdout, stderr } = await run(program, [temp.folder('stat')])
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '48 answers compared, 0 differ\n', stderr: '' })
})

test('a line of the list that says nothing to the script that reads it stops the build', async () => {
  const list = temp.file('symbols.txt')
  const script = join(floorFolder, 'make-stubs.mjs')
  writeFileSync(list, '# a comment\nopen c 2.2.5 2.17\nclose libc.so.6 2.2.5 2.17\n')
  const wrong = await run(process.execPath, [script, list, 'x64', temp.file('stubs')])
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("line 3 of '") })
  const usage = await run(process.execPath, [script, list, 'riscv64', temp.file('stubs')])
  expect(usage).toMatchObject({ code: 1, stderr: expect.stringContaining('usage') })
})
