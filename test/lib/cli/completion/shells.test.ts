// SPDX-License-Identifier: Apache-2.0
//
// The completions in real shells: bash and fish complete command lines, zsh reads the script and binds it.

import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commands } from '../../../../lib/cli/commands.js'
import { bashCompletion } from '../../../../lib/cli/completion/bash.js'
import { fishCompletion } from '../../../../lib/cli/completion/fish.js'
import { zshCompletion } from '../../../../lib/cli/completion/zsh.js'
import { run, runWell } from '../../../support/processes/run-program.js'
import { TempFolder } from '../../../support/temp-folder.js'

const temp = new TempFolder('completion')
const files = { bash: temp.file('blockpull.bash'), zsh: temp.file('_blockpull'), fish: temp.file('blockpull.fish') }
const names = [...commands.map(({ name }) => name), 'help'].sort()

beforeAll(() => {
  writeFileSync(files.bash, bashCompletion(commands))
  writeFileSync(files.zsh, zshCompletion(commands))
  writeFileSync(files.fish, fishCompletion(commands))
  for (const name of ['base.qcow2', 'it is.img']) writeFileSync(temp.file(name), '')
})
afterAll(() => temp.remove())

/** The words of a line as bash splits them; what it was told of files stands for the names. */
async function inBash(...words: readonly string[]): Promise<string[]> {
  const script = `source '${files.bash}'
    compopt() { COMPREPLY+=("$2"); }
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _blockpull
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const out = await runWell('bash', ['--norc', '-uc', script, 'bash', 'blockpull', ...words])
  return out.split('\n').filter(Boolean).sort()
}

async function inFish(line: string): Promise<string[]> {
  const env = { HOME: temp.path, XDG_CONFIG_HOME: temp.path, XDG_DATA_HOME: temp.path }
  const script = `source '${files.fish}'; complete -C '${line}'`
  const out = await runWell('fish', ['--no-config', '-c', script], { cwd: temp.path, env })
  return out
    .split('\n')
    .flatMap((text) => text.split('\t')[0] || [])
    .sort()
}

describe('bash', () => {
  it.each([
    [[''], [...names, '--help', '--version', '-V', '-h'].sort()],
    [['pu'], ['pull']],
    [['nothing'], []],
    [['pull', '--tra'], ['--trailing-data']],
    [
      ['pull', '--on-error', ''],
      ['enospc', 'report', 'stop'],
    ],
    [['pull', 'a', '--on-error', '=', 'en'], ['enospc']],
    [
      ['pull', '--on-error', '='],
      ['enospc', 'report', 'stop'],
    ],
    [['pull', '--base', 'ba'], ['default']],
    [['pull', '--base', '='], ['default']],
    [['pull', '--siblings', ''], ['dirnames']],
    [['pull', '--timeout', ''], []],
    [['pull', 'ba'], ['default']],
    [['list', ''], []],
    [['job', '-c', ''], []],
    [
      ['job', '--a'],
      ['--abort', '--async'],
    ],
    [
      ['completion', ''],
      ['bash', 'fish', 'zsh'],
    ],
    [['help', 're'], ['reap']],
    [['nothing', '--'], []],
  ])('completes %j', async (words, expected) => {
    expect(await inBash(...words)).toEqual(expected)
  })

  it('binds the function to the command', async () => {
    const bound = await runWell('bash', ['--norc', '-c', `source '${files.bash}'; complete -p blockpull`])
    expect(bound).toBe('complete -F _blockpull blockpull\n')
  })
})

describe('fish', () => {
  it.each([
    ['blockpull ', names],
    ['blockpull pull --tra', ['--trailing-data']],
    ['blockpull pull --on-error ', ['enospc', 'report', 'stop']],
    ['blockpull pull --base ba', ['base.qcow2']],
    ['blockpull pull --timeout ', []],
    ['blockpull pull --siblings ba', []],
    ['blockpull chain it', ['it is.img']],
    ['blockpull list ba', []],
    ['blockpull completion ', ['bash', 'fish', 'zsh']],
    ['blockpull help re', ['reap']],
  ])('completes %j', async (line, expected) => {
    expect(await inFish(line)).toEqual(expected)
  })
})

describe('zsh', () => {
  it('reads the script, and binds the function to the command', async () => {
    const script = `autoload -U compinit; compinit -D; source '${files.zsh}'; print $_comps[blockpull]`
    expect((await run('zsh', ['-n', files.zsh])).stderr).toBe('')
    expect(await runWell('zsh', ['-fc', script], { env: { HOME: temp.path } })).toBe('_blockpull\n')
  })

  it('finds the file in a folder of its own', async () => {
    const script = `fpath=('${temp.path}' $fpath); autoload -U compinit; compinit -u -D; print $_comps[blockpull]`
    expect(await runWell('zsh', ['-fc', script], { env: { HOME: temp.path } })).toBe('_blockpull\n')
  })
})
