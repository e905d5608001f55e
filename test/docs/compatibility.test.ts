// SPDX-License-Identifier: Apache-2.0
//
// The table of calls in docs/libvirt-compatibility.md names what `blockpull/libvirt` has: every function, with its
// parameters in order, and none that is not there. The idiomatic names beside them exist as well.

import { describe, expect, it } from 'vitest'
import { Connection, connect, Domain } from '../../lib/index.js'
import * as virt from '../../lib/libvirt.js'
import { readDocument } from './code-blocks.js'

interface Row {
  readonly name: string
  readonly parameters: readonly string[]
  readonly idiomatic: string
}

/** The rows of the table of calls. */
function callRows(markdown: string): Row[] {
  const [, section = ''] = markdown.split(/^## Calls$/m)
  const [table = ''] = section.split(/^## /m)
  return [...table.matchAll(/^\| `(\w+)\(([^)]*)\)` \| `([^`]+)` \|/gm)].map(
    ([, name = '', list = '', idiomatic = '']) => ({
      name,
      parameters: list.split(', '),
      idiomatic,
    }),
  )
}

/** What the table and the module do not agree on. */
function complaints(rows: readonly Row[], exported: readonly string[]): string[] {
  const named = rows.map(({ name }) => name)
  return [
    ...named.filter((name) => !exported.includes(name)).map((name) => `${name} is in the table and not exported`),
    ...exported.filter((name) => !named.includes(name)).map((name) => `${name} is exported and not in the table`),
    ...named.filter((name, index) => named.indexOf(name) !== index).map((name) => `${name} is in the table twice`),
  ]
}

/** The functions of `blockpull/libvirt` by their names. */
const functions = new Map(
  Object.entries(virt).filter(([name, value]) => name.startsWith('vir') && typeof value === 'function'),
)

/** The parameters of a function as it is written, without types and defaults. */
function parametersOf(name: string): string[] {
  const source = String(functions.get(name))
  const [, list = ''] = /\(([^)]*)\)/.exec(source) ?? []
  return list.split(',').map((parameter) => parameter.replace(/=.*/s, '').trim())
}

const rows = callRows(readDocument('docs/libvirt-compatibility.md'))
const exported = [...functions.keys()]

describe('the table of calls', () => {
  it('names the functions of blockpull/libvirt, all of them and no other', () => {
    expect(rows.length).toBeGreaterThan(10)
    expect(complaints(rows, exported)).toEqual([])
  })

  it.each(rows)('gives $name its parameters', ({ name, parameters }) => {
    expect(parametersOf(name).slice(0, parameters.length)).toEqual(parameters)
  })

  it.each(rows)('has an idiomatic $idiomatic', ({ idiomatic }) => {
    const [, owner, member = ''] = /^(?:(\w+)\.)?(\w+)/.exec(idiomatic) ?? []
    if (owner === undefined) return expect({ connect }).toHaveProperty(member)
    if (owner === 'connection') return expect(Connection.prototype).toHaveProperty(member)
    const isMember = member in Domain.prototype || String(Domain).includes(`this.${member} =`)
    expect(isMember).toBe(true)
  })
})

describe('a table that is wrong is noticed', () => {
  const text = '## Calls\n\n| `virA(conn, name)` | `connect(uri)` | |\n\n## Else\n| `virZ(a)` | `b` | |\n'

  it('when it lacks a function', () => {
    expect(complaints(callRows(text), ['virA', 'virB'])).toEqual(['virB is exported and not in the table'])
  })

  it('when it has one that is not there', () => {
    expect(complaints(callRows(text), [])).toEqual(['virA is in the table and not exported'])
  })

  it('when it has one twice', () => {
    const [row] = callRows(text)
    expect(row).toEqual({ name: 'virA', parameters: ['conn', 'name'], idiomatic: 'connect(uri)' })
    expect(complaints(row ? [row, row] : [], ['virA'])).toEqual(['virA is in the table twice'])
  })
})
