// SPDX-License-Identifier: Apache-2.0
//
// A TypeScript program against the packed package: strict, the package's own declarations checked too, by each way of
// finding modules that knows `exports`; what it compiles to pulls. And what the way of Node 10 finds.

import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TempFolder } from '../support/temp-folder.js'
import { repository } from '../tidy/source-files.js'
import { Consumer, movedBytes } from './consumer.js'

const temp = new TempFolder('types')
afterAll(() => temp.remove())

const program = `
import { BlockPullError, type Outcome, pullImage, shimPath } from 'blockpull'
import { VIR_DOMAIN_BLOCK_JOB_TYPE_PULL, virConnectOpen } from 'blockpull/libvirt'

async function pull(image: string): Promise<Outcome> {
  await using job = await pullImage(image, { bandwidth: '1GiB/s' })
  for await (const { cur, end } of job) if (cur > end) throw new Error('past the end')
  return await job.done
}

const folder: string = shimPath()
const { state, bytesMoved, released }: Outcome = await pull(process.argv[2] ?? '')
const codeOf = (error: unknown) => BlockPullError.is(error) && error.virCode
const code = await virConnectOpen('qemu:///nowhere').then(() => null, codeOf)
const facts = [state, bytesMoved, released.length, code, VIR_DOMAIN_BLOCK_JOB_TYPE_PULL, folder.length > 0]
console.log(JSON.stringify(facts))
`

const strict = {
  strict: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  types: ['node'],
}

let project: Consumer
beforeAll(async () => {
  project = await Consumer.make(temp)
  for (const name of ['@types/node', 'undici-types']) {
    cpSync(join(repository, 'node_modules', name), project.file(`node_modules/${name}`), { recursive: true })
  }
  writeFileSync(project.file('program.ts'), program)
})

/** Compiles the program; gives what the compiler says. */
async function compile(name: string, options: Readonly<Record<string, unknown>>): Promise<string> {
  const config = { compilerOptions: { ...strict, ...options, outDir: name }, files: ['program.ts'] }
  writeFileSync(project.file(`tsconfig.${name}.json`), JSON.stringify(config))
  const tsc = join(repository, 'node_modules/typescript/bin/tsc')
  return (await project.run(project.node, tsc, '-p', `tsconfig.${name}.json`)).stdout
}

describe('a TypeScript program', () => {
  it.each([
    ['node16', { module: 'node16', moduleResolution: 'node16' }],
    ['nodenext', { module: 'nodenext', moduleResolution: 'nodenext' }],
    ['bundler', { module: 'preserve', moduleResolution: 'bundler' }],
  ])('compiles without a fault, and pulls: %s', async (name, options) => {
    expect(await compile(name, options)).toBe('')
    const image = await project.overlay()
    const { code, stdout, stderr } = await project.run(project.node, `${name}/program.js`, image)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual(['completed', movedBytes, 1, 5, 1, true])
  })

  it("finds 'blockpull' and not 'blockpull/libvirt' by the way of Node 10, which knows no exports", async () => {
    const options = { module: 'es2022', moduleResolution: 'node10', ignoreDeprecations: '6.0' }
    const faults = (await compile('node10', options)).split('\n').filter((line) => line.startsWith('program.ts'))
    expect(faults).toEqual([expect.stringContaining("error TS2307: Cannot find module 'blockpull/libvirt'")])
  })
})
