// SPDX-License-Identifier: Apache-2.0
//
// Why the addon cannot be loaded on this system, in one sentence: what is lacking, what to do, and what was tried.
//
// The reader has usually installed the package and has no sources, so "build it" is advice for a checkout alone. The
// first cause that explains the failure is reported: a musl system also lacks symbols of glibc, and an x64 build is
// also no file for arm. `loadFacts` looks at the system, `loadFailure` is a pure function over what it saw.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** What is known about the system on which loading failed. */
export interface LoadFacts {
  /** 'linux' */
  readonly platform: string
  /** 'x64' */
  readonly cpu: string
  /** 'Node 20.19.0' */
  readonly runtime: string
  /** Version of glibc, '2.36'; `null` if this process has none or does not say. */
  readonly glibc: string | null
  readonly isMusl: boolean
  /** Whether Node runs with --permission. */
  readonly hasPermissions: boolean
  /** Whether Node may read the folder of the package. */
  readonly mayRead: boolean
  /** The folder of the package. */
  readonly root: string
  /** Whether that folder is a checkout, in which the addon can be built. */
  readonly isCheckout: boolean
  /** The addon that was found; `null` if there was none. */
  readonly file: string | null
  /** `code` of the loader's error. */
  readonly code: string | null
  /** First line of the loader's message. */
  readonly reason: string
}

/** The glibc that our builds need, at least. */
export const oldestGlibc = '2.28'

const builtFor: readonly string[] = ['x64', 'arm64']

export function loadFacts(root: string, file: string | null, cause: unknown): LoadFacts {
  const { glibc, isMusl } = cLibrary()
  const mayRead = process.permission?.has('fs.read', root) ?? true
  return {
    platform: process.platform,
    cpu: process.arch,
    runtime: process.versions['bun'] ? `Bun ${process.versions['bun']}` : `Node ${process.versions.node}`,
    glibc,
    isMusl,
    hasPermissions: process.permission !== undefined,
    mayRead,
    root,
    isCheckout: mayRead && existsSync(join(root, 'scripts/setup')),
    file,
    code: cause instanceof Error && 'code' in cause ? String(cause.code) : null,
    reason: (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? '',
  }
}

/** What Node's report has of the C library of this process. */
function cLibrary(): { readonly glibc: string | null; readonly isMusl: boolean } {
  const { report } = process as { readonly report?: { excludeNetwork?: boolean; getReport(): unknown } }
  if (report === undefined) return { glibc: null, isMusl: false }
  // A report that names the other ends of connections asks a name server, and waits for it.
  const before = report.excludeNetwork
  try {
    report.excludeNetwork = true
    const { header, sharedObjects } = report.getReport() as {
      readonly header?: { readonly glibcVersionRuntime?: string }
      readonly sharedObjects?: readonly string[]
    }
    const isMusl = sharedObjects?.some((object) => /libc\.musl-|ld-musl-/.test(object)) ?? false
    return { glibc: header?.glibcVersionRuntime ?? null, isMusl }
  } catch {
    return { glibc: null, isMusl: false }
  } finally {
    if (before !== undefined) report.excludeNetwork = before
  }
}

/** The sentence of the error. */
export function loadFailure(facts: LoadFacts): string {
  const folders = ['build/Release', `prebuilds/${facts.platform}-${facts.cpu}`].map((name) => join(facts.root, name))
  const tried = facts.file === null ? `no addon in '${folders.join("' and '")}'` : `tried '${facts.file}'`
  const where = `${facts.runtime} on ${facts.platform}-${facts.cpu}`
  return `native addon cannot be loaded: ${systemFault(facts) ?? fileFault(facts)} (${tried}, with ${where})`
}

/** What this system or this way of starting Node lacks. */
export function systemFault({ platform, cpu, isMusl, hasPermissions, code, mayRead, root }: LoadFacts): string | null {
  if (platform !== 'linux') return `there is no build for ${platform}; blockpull runs on Linux`
  if (code === 'ERR_DLOPEN_DISABLED') {
    return hasPermissions
      ? 'Node runs with --permission, which forbids addons; add --allow-addons'
      : 'Node runs with --no-addons; leave that out'
  }
  if (!mayRead) return `Node runs with --permission and may not read the package; add --allow-fs-read='${root}'`
  if (!builtFor.includes(cpu)) return `there is no build for ${cpu}; there are builds for ${builtFor.join(' and ')}`
  if (isMusl) {
    const system = `a system with glibc ${oldestGlibc} or newer`
    return `there is no build for musl yet; use ${system}, a Debian image in place of Alpine`
  }
  return null
}

/** What is wrong with the addon, or with the package that should have it. */
function fileFault({ glibc, isCheckout, file, reason, root }: LoadFacts): string {
  const needed = /\bGLIBC_(\d[\d.]*)' not found/.exec(reason)?.[1]
  if (needed !== undefined) {
    const found = glibc === null ? '' : `this system has glibc ${glibc}, `
    return `${found}it needs ${needed} or newer; use a newer system or container image`
  }
  const build = `build it with 'npm run setup' in '${root}'`
  if (file !== null) return `${reason}; ${isCheckout ? build : 'install the package again'}`
  if (isCheckout) return `it is not built; ${build}`
  if (!/^No native build was found/.test(reason)) return `${reason}; install the package again`
  const bundler = "if a bundler is used, mark 'blockpull' as external"
  return `the package lacks its folder prebuilds; install it again, and ${bundler}`
}
