// SPDX-License-Identifier: Apache-2.0
//
// A process that pulls a disk of a running guest, told what by its one argument, and is there to be killed. It
// writes a line once the job runs.

import { connect } from '../../../dist/index.js'

const { target, disk, options } = JSON.parse(process.argv[2] ?? '')
const connection = await connect(target)
const [domain] = await connection.listAllDomains()
const job = await domain?.blockPull(disk, options)
console.log('running')
await job?.done.catch(() => undefined)
await connection.close()
