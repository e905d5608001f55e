// SPDX-License-Identifier: Apache-2.0
//
// A script that takes a job to a stage, beside the package that it loads: this one, or a copy around the addon
// that BLOCKPULL_ASAN_ADDON names, which is built with AddressSanitizer.
//
//     FOLDER/dist  package.json  node_modules     as here
//     FOLDER/build/Release/blockpull.node         the addon that is named
//     FOLDER/test/*/stage-process.mjs             loads ../../dist
//
// Node itself frees little when it ends, so a leak counts only when it was allocated by our own code: when the
// first frame of its stack that is neither the sanitizer's nor the C++ library's lies in our sources.

import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TempFolder } from '../temp-folder.js'

const root = join(import.meta.dirname, '../../..')

export class StagePackage {
  readonly script: string
  readonly env: NodeJS.ProcessEnv
  readonly #isSanitized: boolean

  private constructor(script: string, env: NodeJS.ProcessEnv, isSanitized: boolean) {
    this.script = script
    this.env = env
    this.#isSanitized = isSanitized
  }

  /** `script` is a path in the package. */
  static make(temp: TempFolder, script = 'test/addon/stage-process.mjs'): StagePackage {
    const addon = process.env['BLOCKPULL_ASAN_ADDON']
    if (addon === undefined) return new StagePackage(join(root, script), process.env, false)
    const folder = packageAround(addon, script, temp.folder('package'))
    return new StagePackage(join(folder, script), sanitizedEnvironment(), true)
  }

  /** What of stderr must not be there: all of it, but for leaks of Node's own. */
  complaints(stderr: string): string {
    return this.#isSanitized ? complaintsOfSanitizer(stderr) : stderr
  }
}

function packageAround(addon: string, script: string, folder: string): string {
  mkdirSync(join(folder, 'build/Release'), { recursive: true })
  mkdirSync(join(folder, dirname(script)), { recursive: true })
  copyFileSync(addon, join(folder, 'build/Release/blockpull.node'))
  for (const name of ['package.json', script]) copyFileSync(join(root, name), join(folder, name))
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

function sanitizedEnvironment(): NodeJS.ProcessEnv {
  const library = execFileSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim()
  // A leak must not change the exit code, since Node always has some; an error always does (abort).
  const options = 'detect_leaks=1:exitcode=0:abort_on_error=0:halt_on_error=1'
  return { ...process.env, LD_PRELOAD: library, ASAN_OPTIONS: options, UBSAN_OPTIONS: 'print_stacktrace=1' }
}

/** Errors whole, and the leaks that are ours. */
export function complaintsOfSanitizer(stderr: string): string {
  const [errors = '', ...leaks] = stderr.split(/^(?=(?:Direct|Indirect) leak of)/m)
  const other = errors.replace(/^=+\n==\d+==ERROR: LeakSanitizer: detected memory leaks\n\s*/m, '').trim()
  return [other, ...leaks.filter(isOurs)].filter((text) => text !== '').join('\n')
}

const neutral = /libasan|lsan|asan_|\/usr\/include\/c\+\+|libstdc\+\+| in (operator new|std::|__gnu_cxx::)/
const ours = /\/native\/(core|job|driver|virt|napi)\//

function isOurs(leak: string): boolean {
  const frames = leak.split('\n').filter((line) => /^\s+#\d+ /.test(line))
  const allocator = frames.find((frame) => !neutral.test(frame))
  return allocator !== undefined && ours.test(allocator)
}
