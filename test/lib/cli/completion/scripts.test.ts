// SPDX-License-Identifier: Apache-2.0
//
// The scripts word for word, where a shell would take a wrong one in silence; and what the command prints.

import { expect, it } from 'vitest'
import type { CommandSyntax } from '../../../../lib/cli/args.js'
import { commands } from '../../../../lib/cli/commands.js'
import { bashCompletion } from '../../../../lib/cli/completion/bash.js'
import { fishCompletion } from '../../../../lib/cli/completion/fish.js'
import { zshCompletion } from '../../../../lib/cli/completion/zsh.js'
import { FakeTerminal } from '../fake-context.js'

const odd: CommandSyntax = {
  name: 'odd',
  summary: "Do: it's [odd].",
  usage: ['odd FILE'],
  options: { 'a-b': { value: 'DIR', short: 'a', multiple: true, help: "[x] isn't: y" }, c: { short: 'c', help: 'c' } },
  notes: [],
}

it('zsh gets quotes, brackets and colons as they were', () => {
  const script = zshCompletion([odd])
  expect(script).toContain("'odd:Do\\: it'\\''s [odd].'")
  expect(script).toContain("'*'{-a+,--a-b=}'[\\[x\\] isn'\\''t: y]:DIR:_files -/'")
  expect(script).toContain("'(-c --c)'{-c,--c}'[c]'")
})

it('fish gets quotes as they were', () => {
  const script = fishCompletion([odd])
  expect(script).toContain("-n '__fish_use_subcommand' -a odd -d 'Do: it\\'s [odd].'\n")
  expect(script).toContain("-s a -l a-b -x -a '(__fish_complete_directories)' -d '[x] isn\\'t: y'\n")
})

it.each([
  ['bash', bashCompletion],
  ['zsh', zshCompletion],
  ['fish', fishCompletion],
])('blockpull completion %s prints it', async (shell, script) => {
  const terminal = new FakeTerminal()
  await expect(terminal.run(`completion ${shell}`)).resolves.toBe(0)
  expect(terminal.out).toBe(script(commands))
  const other = new FakeTerminal()
  await expect(other.run(`completion ${shell} --json`)).resolves.toBe(0)
  expect(other.lines).toMatchObject([{ event: 'completion', shell, script: script(commands) }, { event: 'end' }])
})

it.each([
  ['completion', 'SHELL is missing'],
  ['completion tcsh', "shell is 'tcsh'; expected bash, zsh, fish"],
  ['completion bash zsh', "argument 'zsh' is unexpected"],
])('blockpull %s is refused', async (line, sentence) => {
  const terminal = new FakeTerminal()
  await expect(terminal.run(line)).resolves.toBe(2)
  expect(terminal.err).toContain(sentence)
})
