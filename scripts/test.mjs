// SPDX-License-Identifier: Apache-2.0
//
// Runs the tests and adds them up: native tests, lint, then vitest, then one line with the sum.
//
//   --native       only the native tests
//   --js           only vitest; what is no option is handed to it, a folder for example
//   --asan         native tests, the addon's ends of life and C programs under AddressSanitizer, in place of everything
//   --cmake-js     the addon as cmake-js builds it, and the addon's tests on it, in place of everything
//   --package      packs the package once, and runs the tests of the tarball, in place of everything
//   --soak         everything, the long versions of the long tests (BLOCKPULL_SOAK=1), ThreadSanitizer, and --package
//
// A part that fails does not keep the others from running. A build that fails, or a lint that is not clean,
// counts as one failed test, so that the last line never says '0 failed' of a run that failed.

import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
/**
 * What every program here gets. Checkouts in different folders share what ccache has, so debug information may name
 * the folder of another one.
 * @type {NodeJS.ProcessEnv}
 */
const environment = { CCACHE_NOHASHDIR: '1', CCACHE_BASEDIR: root, ...process.env }

/** @typedef {{ passed: number, failed: number, skipped: number }} Sum */

/** One whole part that failed: a build, a lint. */
const partFailed = { passed: 0, failed: 1, skipped: 0 }

/** Runs a program whose output matters only when it fails. @param {string} command @param {string[]} args */
function quietly(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    env: environment,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status === 0) {
    return true
  }
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}${error ? `${error.message}\n` : ''}`)
  return false
}

/** Runs a program, showing its output but for the lines that match. @returns {Promise<number>} its exit code
 * @param {string} command @param {string[]} args @param {RegExp} unless @param {NodeJS.ProcessEnv} [more] */
function shown(command, args, unless, more = {}) {
  return new Promise((resolve) => {
    const env = { ...environment, ...more }
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!unless.test(line)) {
        console.log(line)
      }
    })
    child.on('error', (error) => {
      console.error(error.message)
      resolve(1)
    })
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/** Where Node's headers lie beside node; the addon of the asan preset is built with them. */
const nodeHeaders = join(dirname(dirname(process.execPath)), 'include/node')

/** @param {'dev' | 'asan' | 'tsan'} preset @returns {Promise<Sum>} */
async function runNative(preset) {
  console.log(`test: building and running the native tests, preset '${preset}' (minutes when from nothing)`)
  const addon = preset === 'asan' ? [`-DCMAKE_JS_INC=${nodeHeaders}`] : []
  const built =
    quietly('cmake', ['--preset', preset, ...addon]) &&
    quietly('cmake', ['--build', '--preset', preset, '-j', String(availableParallelism())])
  if (!built) {
    console.error('test: the native tests do not build')
    return partFailed
  }
  return preset === 'dev' ? runCtest() : runShards(preset)
}

/** Each test in a process of its own. @returns {Promise<Sum>} */
async function runCtest() {
  const report = join(root, 'build-cmake/dev/ctest.xml')
  rmSync(report, { force: true })
  const code = await shown(
    'ctest',
    ['--preset', 'dev', '--output-junit', report],
    /^\s*Start\s+\d+:|^\s*\d+\/\d+ Test\s+#\d+:.*Passed/,
  )
  return withExitCode(readJunit(report), code)
}

/**
 * All tests in as many processes as there are CPUs: under a sanitizer the start of a process costs a second.
 * @param {'asan' | 'tsan'} preset @returns {Promise<Sum>}
 */
async function runShards(preset) {
  const { testPresets } = JSON.parse(readFileSync(join(root, 'CMakePresets.json'), 'utf8'))
  const sanitizer = testPresets.find((/** @type {{ name: string }} */ { name }) => name === preset).environment
  const folder = join(root, 'build-cmake', preset)
  const shards = availableParallelism()
  const runShard = async (/** @type {number} */ index) => {
    const report = join(folder, `shard-${index}.xml`)
    rmSync(report, { force: true })
    const code = await shown(
      join(folder, 'blockpull_tests'),
      ['--gtest_brief=1', `--gtest_output=xml:${report}`],
      /^Running main|^$/,
      { ...sanitizer, GTEST_TOTAL_SHARDS: String(shards), GTEST_SHARD_INDEX: String(index) },
    )
    return withExitCode(readJunit(report), code)
  }
  return sumOf(await Promise.all(Array.from({ length: shards }, (_, index) => runShard(index))))
}

/** What ctest and GoogleTest write. @param {string} file @returns {Sum} */
function readJunit(file) {
  const report = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const suite = report.match(/<testsuites?\b[^>]*>/)?.[0] ?? ''
  const count = (/** @type {string} */ name) => Number(suite.match(new RegExp(`\\b${name}="(\\d+)"`))?.[1] ?? 0)
  const failed = count('failures')
  const skipped = count('skipped') + count('disabled')
  return { passed: count('tests') - failed - skipped, failed, skipped }
}

/** Builds the addon with cmake-js and runs the addon's tests on it, in the place of node-gyp's. @returns {Sum} */
function runCmakeJs() {
  console.log('test: building the addon with cmake-js, and running its tests (minutes when from nothing)')
  const out = join(root, 'build-cmake/cmake-js')
  if (!quietly(join(root, 'node_modules/.bin/cmake-js'), ['compile', '-T', 'blockpull', '-O', out])) {
    console.error('test: the addon does not build with cmake-js')
    return partFailed
  }
  const place = join(root, 'build/Release/blockpull.node')
  const kept = `${place}.node-gyp`
  renameSync(place, kept)
  try {
    copyFileSync(join(out, 'Release/blockpull.node'), place)
    return runVitest(['test/addon'])
  } finally {
    renameSync(kept, place)
  }
}

/** Packs the package once, for x64 alone, and runs the tests of the tarball. @returns {Sum} */
function runPackage() {
  console.log('test: packing the package, and running the tests of the tarball (minutes when from nothing)')
  const out = join(root, 'build-cmake/package')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  environment.BLOCKPULL_PACK_ARCHES = 'x64'
  if (!quietly('npm', ['pack', '--pack-destination', out])) {
    console.error('test: the package cannot be packed')
    return partFailed
  }
  environment.BLOCKPULL_TARBALL = join(out, readdirSync(out).find((name) => name.endsWith('.tgz')) ?? '')
  return runVitest(['test/tarball'])
}

/** @param {string[]} more @returns {Sum} */
function runVitest(more) {
  const report = join(root, 'build-cmake', 'vitest.json')
  mkdirSync(dirname(report), { recursive: true })
  rmSync(report, { force: true })
  const { status } = spawnSync(
    join(root, 'node_modules/.bin/vitest'),
    ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...more],
    { cwd: root, env: environment, stdio: 'inherit' },
  )
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'))
    const skipped = result.numPendingTests + result.numTodoTests
    return withExitCode({ passed: result.numPassedTests, failed: result.numFailedTests, skipped }, status ?? 1)
  } catch {
    return partFailed
  }
}

/** A program that failed without naming a test (a file that does not load) counts as one. @param {Sum} sum
 * @param {number} code @returns {Sum} */
function withExitCode(sum, code) {
  return code !== 0 && sum.failed === 0 ? { ...sum, failed: 1 } : sum
}

/** @param {readonly Sum[]} sums @returns {Sum} */
function sumOf(sums) {
  const total = (/** @type {keyof Sum} */ name) => sums.reduce((sum, part) => sum + part[name], 0)
  return { passed: total('passed'), failed: total('failed'), skipped: total('skipped') }
}

/** @returns {Sum} */
function runLint() {
  const { status } = spawnSync(join(root, 'scripts/lint'), { cwd: root, env: environment, stdio: 'inherit' })
  return status === 0 ? { passed: 0, failed: 0, skipped: 0 } : partFailed
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        native: { type: 'boolean', default: false },
        js: { type: 'boolean', default: false },
        soak: { type: 'boolean', default: false },
        asan: { type: 'boolean', default: false },
        'cmake-js': { type: 'boolean', default: false },
        package: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    })
  } catch (error) {
    console.error(`test: ${error instanceof Error ? error.message : error}`)
    process.exit(2)
  }
}

const { values, positionals } = readArguments()
const everything = !values.native && !values.js && !values.asan && !values['cmake-js'] && !values.package
if (values.soak) {
  environment.BLOCKPULL_SOAK = '1'
}

/** @type {Sum[]} */
const sums = []
if (everything || values.native) {
  sums.push(await runNative('dev'))
}
if (values.asan) {
  sums.push(await runNative('asan'))
  environment.BLOCKPULL_ASAN_ADDON = join(root, 'build-cmake/asan/blockpull.node')
  environment.BLOCKPULL_ASAN_SHIM = join(root, 'build-cmake/asan')
  sums.push(runVitest(['test/addon/stages.test.ts', 'test/abi/calls.test.ts']))
}
if (values['cmake-js']) {
  sums.push(runCmakeJs())
}
if (values.soak) {
  sums.push(await runNative('tsan'))
}
if (everything) {
  sums.push(runLint())
}
if (everything || values.js) {
  sums.push(runVitest(positionals))
}
if (values.package || values.soak) {
  sums.push(runPackage())
}

const total = sumOf(sums)
if (total.skipped > 0) {
  console.log(`${total.skipped} skipped`)
}
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed === 0 ? 0 : 1
