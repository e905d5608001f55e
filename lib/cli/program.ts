// SPDX-License-Identifier: Apache-2.0
//
// The program: finds the command, runs it, and reports what it threw.
//
// It reaches the process only through its context and gives the exit code, so that a test can run it whole. Whatever a
// command throws ends here: as a sentence on stderr, and with `--json` as the end line.

import { nearest } from '../words/nearest.js'
import { parseArguments, UsageError } from './args.js'
import { commands } from './commands.js'
import type { Command, Context } from './context.js'
import { ExitCode, endingOfError } from './exit-codes.js'
import { commandHelp, programHelp } from './help.js'
import { report } from './report.js'
import { tell } from './shown.js'

/** Runs one command line; gives the exit code and never throws. */
export async function runProgram(argv: readonly string[], context: Context): Promise<number> {
  const [name, ...rest] = argv
  try {
    if (name === undefined) {
      context.err.write(programHelp(commands))
      return ExitCode.USAGE
    }
    if (name === '--version' || name === '-V') {
      tell(context.out, `blockpull ${context.version}`)
      return ExitCode.DONE
    }
    if (name === '--help' || name === '-h' || name === 'help') return help(rest[0], context)
    return await runCommand(findCommand(name), rest, context)
  } catch (error) {
    const json = argv.includes('--json')
    const ending = endingOfError(error)
    const own = commands.find((command) => command.name === name)?.failureCode?.(ending.code)
    const code = report(context, own === undefined ? ending : { ...ending, exitCode: own }, { json })
    if (error instanceof UsageError) tell(context.err, `see 'blockpull ${hintFor(name)}--help'`)
    return code
  }
}

async function runCommand(command: Command, argv: readonly string[], context: Context): Promise<number> {
  const args = parseArguments(command, argv)
  if (!args.has('help')) return await command.run(args, context)
  context.out.write(commandHelp(command))
  return ExitCode.DONE
}

function help(name: string | undefined, context: Context): number {
  context.out.write(name === undefined ? programHelp(commands) : commandHelp(findCommand(name)))
  return ExitCode.DONE
}

function findCommand(name: string): Command {
  const command = commands.find((known) => known.name === name)
  if (command !== undefined) return command
  const names = commands.map((known) => known.name)
  const near = nearest(name, names)
  const hint = near === null ? `expected ${names.join(', ')}` : `did you mean '${near}'?`
  if (name.startsWith('-')) throw new UsageError(`option '${name}' has no command before it; ${hint}`)
  throw new UsageError(`unknown command '${name}'; ${hint}`)
}

function hintFor(name: string | undefined): string {
  return commands.some((known) => known.name === name) ? `${name} ` : ''
}
