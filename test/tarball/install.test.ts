// SPDX-License-Identifier: Apache-2.0
//
// What is in the tarball, and that it serves where nothing can be compiled: the command by npx, and a C program on the
// libvirt.so.0 that `blockpull shim-path` names.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run, runWell } from '../support/processes/run-program.js'
import { TempFolder } from '../support/temp-folder.js'
import { repository } from '../tidy/source-files.js'
import { Consumer, tarball } from './consumer.js'

const temp = new TempFolder('install')
afterAll(() => temp.remove())

let project: Consumer
let files: readonly string[]
beforeAll(async () => {
  project = await Consumer.make(temp)
  const listed = (await runWell('tar', ['-tzf', tarball()])).trimEnd().split('\n')
  files = listed.map((name) => name.replace('package/', ''))
})

/** All that may be in the tarball. */
const wanted: readonly RegExp[] = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md|THIRD_PARTY_NOTICES)$/,
  /^dist\/[a-z/-]+\.(js|d\.ts)$/,
  /^prebuilds\/linux-(x64|arm64)\/(blockpull\.glibc\.node|lib\/libvirt(-qemu|-lxc)?\.so\.0)$/,
  /^man\/blockpull(-[a-z-]+)?\.1$/,
  /^completions\/(blockpull\.bash|blockpull\.fish|_blockpull)$/,
  /^docs\/[A-Za-z-]+\.md$/,
  /^docs\/reference\/([a-z]+\/)?[\w.-]+\.(html|css|js|svg)$/,
]

describe('the tarball', () => {
  it('holds what belongs there, and nothing that a build left', () => {
    expect(files.filter((file) => !wanted.some((pattern) => pattern.test(file)))).toEqual([])
    expect(wanted.filter((pattern) => !files.some((file) => pattern.test(file)))).toEqual([])
  })

  it('has every file that package.json names', () => {
    const manifest = JSON.parse(readFileSync(join(project.installed, 'package.json'), 'utf8'))
    const named = [...Object.values(manifest.bin), ...manifest.man, manifest.types]
    expect(named.filter((file) => !existsSync(join(project.installed, file)))).toEqual([])
    expect(manifest).toMatchObject({ os: ['linux'], cpu: ['x64', 'arm64'], libc: ['glibc'] })
  })

  it('is smaller than 6 MB', () => {
    expect(statSync(tarball()).size).toBeLessThan(6_000_000)
  })

  it('has no link in its pages that leads out of it', () => {
    const pages = files.filter((file) => file.endsWith('.md'))
    expect(pages.length).toBeGreaterThan(10)
    const dead = pages.flatMap((page) => {
      const text = readFileSync(join(project.installed, page), 'utf8')
      const targets = [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, target = '']) => target)
      const inside = targets.filter((target) => !/^[a-z]+:/.test(target))
      return inside.filter((target) => !existsSync(join(project.installed, dirname(page), target)))
    })
    expect(dead).toEqual([])
  })

  it('pleases publint', async () => {
    const { code, stdout, stderr } = await run('node_modules/.bin/publint', [tarball(), '--strict'], {
      cwd: repository,
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('All good!')
  })

  it('pleases attw, as a package of ES modules', async () => {
    const args = [tarball(), '--profile', 'esm-only', '--format', 'json']
    const { code, stdout } = await run('node_modules/.bin/attw', args, { cwd: repository })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ analysis: { packageName: 'blockpull', types: { kind: 'included' } } })
  })
})

describe('installed where there is no compiler', () => {
  it('has nothing beside it but the loader', async () => {
    const { code, stdout } = await project.npm('ls', '--all', '--parseable')
    const paths = stdout.trimEnd().split('\n').slice(1)
    expect({ code, paths }).toEqual({
      code: 0,
      paths: ['blockpull', 'node-gyp-build'].map((name) => project.file(`node_modules/${name}`)),
    })
    expect((await project.run('sh', '-c', 'command -v cc || command -v make || command -v python3')).stdout).toBe('')
  })

  it('pulls by npx', async () => {
    const { code, stdout, stderr } = await project.npx('blockpull', 'pull', await project.overlay())
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^overlay-\d\.qcow2: pulled, 8\.0 MiB moved in /)
  })

  it('puts its manual pages where man finds them, if it is installed for all', async () => {
    const prefix = project.file('all')
    const { code } = await project.npm('install', '--global', '--prefix', prefix, '--ignore-scripts', tarball())
    expect(code).toBe(0)
    expect(readFileSync(join(prefix, 'share/man/man1/blockpull-pull.1'), 'utf8')).toContain('.TH BLOCKPULL-PULL 1')
  })

  it('serves a C program by its libvirt.so.0', async () => {
    const folder = project.file('domains')
    mkdirSync(folder)
    const name = await project.overlay()
    const image = project.file(name)
    const source = `<driver name='qemu' type='qcow2'/><source file='${image}'/><target dev='vda'/>`
    const disk = `<disk type='file'>${source}</disk>`
    writeFileSync(join(folder, 'vm0.xml'), `<domain><name>vm0</name><devices>${disk}</devices></domain>`)
    const program = project.file('pull-disk')
    const flags = (await runWell('pkg-config', ['--cflags', '--libs', 'libvirt'])).trim().split(/\s+/)
    await runWell('cc', [join(import.meta.dirname, 'pull-disk.c'), '-o', program, ...flags])
    const line = `LD_LIBRARY_PATH=$(blockpull shim-path) exec ${program} 'qemu:///embed?root=${folder}'`
    const { code, stdout, stderr } = await project.npx('-c', line)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(`pulled on ${project.installed}/prebuilds/linux-x64/lib/libvirt.so.0\n`)
    const layers = (await project.npx('blockpull', 'chain', name, '--json')).stdout
    expect(layers.match(/"event":"layer"/g)).toHaveLength(1)
  })
})
