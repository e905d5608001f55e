// SPDX-License-Identifier: Apache-2.0
//
// `blockpull completion`: prints the script that completes command lines in a shell.

import { UsageError } from '../args.js'
import { bashCompletion } from '../completion/bash.js'
import { fishCompletion } from '../completion/fish.js'
import { zshCompletion } from '../completion/zsh.js'
import type { Command } from '../context.js'
import { done } from '../exit-codes.js'
import { writeJson } from '../json.js'
import { report } from '../report.js'
import { tell } from '../shown.js'

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const

/** Shells that can be completed in. */
export const shells = Object.keys(scripts) as readonly (keyof typeof scripts)[]

/** The command, given all commands. */
export function completionOf(commands: () => readonly Command[]): Command {
  return {
    name: 'completion',
    summary: 'Print the script that completes command lines in a shell.',
    usage: [`completion ${shells.join('|')}`],
    options: {},
    operands: shells,
    notes: [
      'bash: eval "$(blockpull completion bash)" in ~/.bashrc',
      'zsh:  eval "$(blockpull completion zsh)" in ~/.zshrc, below compinit',
      'fish: blockpull completion fish | source, in ~/.config/fish/config.fish',
    ],
    run: async (args, context) => {
      const [name = ''] = args.exactly('SHELL')
      const shell = shells.find((known) => known === name)
      if (shell === undefined) throw new UsageError(`shell is '${name}'; expected ${shells.join(', ')}`)
      const json = args.has('json')
      const script = scripts[shell](commands())
      if (json) writeJson(context.out, { event: 'completion', shell, script })
      else tell(context.out, ...script.trimEnd().split('\n'))
      return report(context, done, { json })
    },
  }
}
