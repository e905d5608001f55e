// SPDX-License-Identifier: Apache-2.0
//
// What lib/index.ts exports, as the TypeScript compiler sees it: names, and the fields and methods of each type.
//
// Only what our own sources declare counts: the `on` of a Connection is Node's, the `message` of an error JavaScript's.

import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { root } from './code-blocks.js'

const sources = fileURLToPath(new URL('lib', root))

export class PublicTypes {
  readonly #checker: ts.TypeChecker
  readonly #exports: ReadonlyMap<string, ts.Symbol>

  constructor() {
    const entry = fileURLToPath(new URL('lib/index.ts', root))
    const { options } = ts.parseJsonConfigFileContent(
      ts.readConfigFile(fileURLToPath(new URL('tsconfig.json', root)), ts.sys.readFile).config,
      ts.sys,
      fileURLToPath(root),
    )
    const program = ts.createProgram([entry], { ...options, noEmit: true })
    this.#checker = program.getTypeChecker()
    const source = program.getSourceFile(entry)
    const symbol = source && this.#checker.getSymbolAtLocation(source)
    if (symbol === undefined) throw new Error(`'${entry}' cannot be read`)
    const found = this.#checker.getExportsOfModule(symbol)
    this.#exports = new Map(found.map((exported) => [exported.name, this.#resolved(exported)]))
  }

  /** All exports, types among them. */
  get names(): string[] {
    return [...this.#exports.keys()]
  }

  /** The fields and methods of a type, or of a value that is no class; symbols as `[Symbol.name]`. */
  membersOf(name: string): string[] {
    const symbol = this.#exports.get(name)
    if (symbol === undefined) throw new Error(`'${name}' is not exported`)
    const isType = (symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias)) !== 0
    const type = isType ? this.#checker.getDeclaredTypeOfSymbol(symbol) : this.#checker.getTypeOfSymbol(symbol)
    return this.#checker
      .getPropertiesOfType(type)
      .filter((property) => isPublic(property))
      .map(({ name }) => name.replace(/^__@(\w+)@\d+$/, '[Symbol.$1]'))
  }

  #resolved(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol
  }
}

function isPublic(property: ts.Symbol): boolean {
  const declarations = property.declarations ?? []
  const isOurs = declarations.some((declaration) => declaration.getSourceFile().fileName.startsWith(`${sources}/`))
  return isOurs && !property.name.startsWith('#')
}
