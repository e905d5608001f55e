// SPDX-License-Identifier: Apache-2.0
//
// The commands, in the order of the help. The manual pages and the completions are made from this list as well.

import { chain } from './commands/chain.js'
import { check } from './commands/check.js'
import { compare } from './commands/compare.js'
import { completionOf } from './commands/completion.js'
import { create } from './commands/create.js'
import { digest } from './commands/digest.js'
import { events } from './commands/events.js'
import { info } from './commands/info.js'
import { job } from './commands/job.js'
import { list } from './commands/list.js'
import { pull } from './commands/pull.js'
import { reap } from './commands/reap.js'
import { shimPath } from './commands/shim-path.js'
import type { Command } from './context.js'

export const commands: readonly Command[] = [
  ...[pull, job, list, events, reap, chain, info, check, compare, create, digest, shimPath],
  completionOf(() => commands),
]
