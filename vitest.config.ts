// SPDX-License-Identifier: Apache-2.0
//
// How vitest runs our tests. Each file gets a process of its own ('forks'), since the addon holds engine
// threads and a test may kill what it started. Tests that pull real images take their time on a small
// machine, so the time allowed is generous; a test that needs longer says so itself.
// Every temporary folder lies in one of the run, which goes away with it (test/support/run-folder.ts).
// Types are tested by compiling test/types/*.test-d.ts, never by running them.
// test/soak has the tests that are too long for every day as a whole; `npm run test:soak` runs them.

import { configDefaults, defineConfig } from 'vitest/config'
import { isSoak } from './test/support/random.js'

/** The tests of the packed package belong to a run that has packed one. */
const withoutTarball = process.env['BLOCKPULL_TARBALL'] === undefined ? ['test/tarball/**'] : []
const long = isSoak ? [] : ['test/soak/**', 'test/tarball/managers.test.ts']

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...withoutTarball, ...long],
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: 'test/support/run-folder.ts',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // A monitor that was used stays connected for a second, and keeps the next client waiting.
    expect: { poll: { timeout: 90_000 } },
    typecheck: {
      enabled: true,
      include: ['test/types/**/*.test-d.ts'],
      tsconfig: 'tsconfig.test.json',
    },
  },
})
