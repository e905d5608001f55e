// SPDX-License-Identifier: Apache-2.0
//
// What the error says when the addon cannot be loaded, for every system on which it cannot.

import { describe, expect, it } from 'vitest'
import { type LoadFacts, loadFacts, loadFailure } from '../../../lib/native/load-failure.js'

const root = '/srv/app/node_modules/blockpull'
const addon = `${root}/prebuilds/linux-x64/blockpull.glibc.node`
const tried = `(tried '${addon}', with Node 22.20.0 on linux-x64)`

/** A system on which the addon is there and should load. */
const usual: LoadFacts = {
  platform: 'linux',
  cpu: 'x64',
  runtime: 'Node 22.20.0',
  glibc: '2.36',
  isMusl: false,
  hasPermissions: false,
  mayRead: true,
  root,
  isCheckout: false,
  file: addon,
  code: 'ERR_DLOPEN_FAILED',
  reason: `${addon}: cannot open shared object file`,
}

const said = (facts: Partial<LoadFacts>) => loadFailure({ ...usual, ...facts })
const tooOld = (version: string) =>
  `/lib/x86_64-linux-gnu/libc.so.6: version \`GLIBC_${version}' not found (required by a)`
const nothing = { file: null, code: null, reason: 'No native build was found for platform=linux arch=x64' }

describe('an addon that cannot be loaded', () => {
  it('names the glibc that was found, and the one that is needed', () => {
    expect(said({ glibc: '2.27', reason: tooOld('2.28') })).toBe(
      'native addon cannot be loaded: this system has glibc 2.27, it needs 2.28 or newer; ' +
        `use a newer system or container image ${tried}`,
    )
    expect(said({ glibc: null, reason: tooOld('2.28') })).toContain('loaded: it needs 2.28 or newer; use a newer')
  })

  it('says that there is no build for musl, whatever the loader said', () => {
    const sentence =
      'native addon cannot be loaded: there is no build for musl yet; ' +
      'use a system with glibc 2.28 or newer, a Debian image in place of Alpine'
    const musl = { glibc: null, isMusl: true }
    expect(said({ ...musl, reason: `Error relocating ${addon}: __cxa: symbol not found` })).toBe(`${sentence} ${tried}`)
    expect(said({ ...musl, ...nothing })).toContain(sentence)
  })

  it('names the flag of Node that forbids it', () => {
    const disabled = { code: 'ERR_DLOPEN_DISABLED', reason: 'Cannot load native addon because it is disabled' }
    expect(said({ ...disabled, hasPermissions: true })).toBe(
      `native addon cannot be loaded: Node runs with --permission, which forbids addons; add --allow-addons ${tried}`,
    )
    expect(said(disabled)).toContain('loaded: Node runs with --no-addons; leave that out (')
  })

  it('names the folder that Node may not read', () => {
    expect(said({ ...nothing, hasPermissions: true, mayRead: false })).toContain(
      `Node runs with --permission and may not read the package; add --allow-fs-read='${root}' (`,
    )
  })

  it.each([
    [{ platform: 'darwin', cpu: 'arm64' }, 'there is no build for darwin; blockpull runs on Linux'],
    [{ platform: 'win32' }, 'there is no build for win32; blockpull runs on Linux'],
    [{ cpu: 'ia32' }, 'there is no build for ia32; there are builds for x64 and arm64'],
    [{ cpu: 'riscv64', isMusl: true }, 'there is no build for riscv64; there are builds for x64 and arm64'],
  ])('says that there is no build for %o', (system, sentence) => {
    expect(said({ ...nothing, ...system })).toContain(`native addon cannot be loaded: ${sentence} (no addon in '`)
  })

  it('names the two folders in which none was, and does not tell the user of a package to build one', () => {
    const sentence = said(nothing)
    expect(sentence).toBe(
      'native addon cannot be loaded: the package lacks its folder prebuilds; install it again, ' +
        "and if a bundler is used, mark 'blockpull' as external " +
        `(no addon in '${root}/build/Release' and '${root}/prebuilds/linux-x64', with Node 22.20.0 on linux-x64)`,
    )
    expect(sentence).not.toContain('npm run setup')
  })

  it('passes on any other reason of the loader', () => {
    const reason = `${addon}: failed to map segment from shared object`
    expect(said({ reason })).toBe(`native addon cannot be loaded: ${reason}; install the package again ${tried}`)
    const missing = { file: null, reason: "Cannot find module 'node-gyp-build'" }
    expect(said(missing)).toContain("loaded: Cannot find module 'node-gyp-build'; install the package again (")
  })

  it('in a checkout is to be built there', () => {
    const build = `build it with 'npm run setup' in '${root}'`
    expect(said({ ...nothing, isCheckout: true })).toContain(`loaded: it is not built; ${build} (no addon in`)
    expect(said({ isCheckout: true })).toContain(`cannot open shared object file; ${build} (tried`)
  })
})

describe('the facts of this system', () => {
  it('are those of a Linux with glibc, in a checkout', () => {
    const cause = Object.assign(new Error('one\ntwo'), { code: 'ERR_DLOPEN_FAILED' })
    const facts = loadFacts(process.cwd(), addon, cause)
    expect(facts).toMatchObject({ platform: 'linux', isMusl: false, hasPermissions: false, mayRead: true })
    expect(facts).toMatchObject({ isCheckout: true, file: addon, code: 'ERR_DLOPEN_FAILED', reason: 'one' })
    expect(facts.glibc).toMatch(/^2\.\d+$/)
    expect(facts.runtime).toBe(`Node ${process.versions.node}`)
    expect(loadFacts('/', null, 'thrown')).toMatchObject({ isCheckout: false, code: null, reason: 'thrown' })
  })
})
