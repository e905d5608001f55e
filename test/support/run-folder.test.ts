// SPDX-License-Identifier: Apache-2.0
//
// The folder of a run: every temporary folder of a test lies in it, and what a dead run left is found.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterAll, expect, test } from 'vitest'
import { clear, foldersOfTheDead } from './run-folder.js'
import { TempFolder } from './temp-folder.js'

const temp = new TempFolder('run-folder')
afterAll(() => temp.remove())

test('the folders of tests, and of the programs that they start, lie in the folder of this run', () => {
  expect(temp.path).toMatch(/\/blockpull-run-\d+\/run-folder-\w+$/)
  const { stdout } = spawnSync(process.execPath, ['-p', 'os.tmpdir()'], { encoding: 'utf8' })
  expect(stdout).toBe(`${tmpdir()}\n`)
})

test('only folders of runs whose process has ended are removed', () => {
  const above = temp.folder()
  const { pid: dead } = spawnSync('true')
  const names = [`blockpull-run-${process.pid}`, `blockpull-run-${dead}`, 'blockpull-demo-1', `other-${dead}`]
  for (const name of names) mkdirSync(`${above}/${name}`)
  expect(foldersOfTheDead(above)).toEqual([`${above}/blockpull-run-${dead}`])
})

test('a cleared folder is gone, except for what a failed test has kept', () => {
  const run = temp.folder('run')
  const inner = new TempFolder('inner', run)
  const looked = inner.folder()
  writeFileSync(`${looked}/image`, 'wrong')
  inner.folder()
  const kept = inner.keep(looked)
  clear(run)
  expect(existsSync(inner.path)).toBe(false)
  expect(existsSync(`${kept}/image`)).toBe(true)
  expect(kept.startsWith(`${run}/kept-inner-`)).toBe(true)
  const empty = temp.folder('run')
  new TempFolder('inner', empty)
  clear(empty)
  expect(existsSync(empty)).toBe(false)
})
