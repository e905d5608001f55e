// SPDX-License-Identifier: Apache-2.0
//
// The manual pages, made from the table of commands that the help is made from: blockpull.1, and blockpull-pull.1 and
// so on for the commands. Pure functions; scripts/make-pages writes the files.
//
// A page has no date, so that the same sources give the same page; it names the version in its place.

/** @typedef {import('../lib/cli/args.js').CommandSyntax} CommandSyntax */
/** @typedef {import('../lib/cli/args.js').OptionSyntax} OptionSyntax */

/**
 * What the pages are made of: lib/cli's own tables, and the version of the package.
 * @typedef {object} Source
 * @property {readonly CommandSyntax[]} commands
 * @property {Readonly<Record<string, OptionSyntax>>} commonOptions of every command
 * @property {Readonly<Record<string, OptionSyntax>>} programOptions in the place of a command
 * @property {readonly (readonly [code: number, meaning: string])[]} exitMeanings
 * @property {string} version
 */

const about = 'fill a disk image from its backing chain'

/** @param {Source} source @returns {Map<string, string>} text by file name, 'blockpull.1' first */
export function manPages(source) {
  const pages = source.commands.map(
    (command) => /** @type {const} */ ([`${pageName(command)}.1`, commandPage(command, source)]),
  )
  return new Map([['blockpull.1', programPage(source)], ...pages])
}

/** @param {Source} source */
function programPage({ commands, programOptions, exitMeanings, version }) {
  const rows = commands.map((command) => tagged(reference(pageName(command)), text(command.summary)))
  return page('blockpull', about, version, [
    section('SYNOPSIS', `${bold('blockpull')} ${italic('COMMAND')} [${italic('OPTION')}]...`),
    section(
      'DESCRIPTION',
      text('blockpull fills a disk image from its backing chain, so that it stands on its own, without libvirtd.'),
      '.PP',
      text('Each command has a page of its own, and prints a short form of it with --help.'),
    ),
    section('COMMANDS', ...rows),
    section('OPTIONS', ...options(programOptions)),
    exitSection(exitMeanings),
    section(
      'ENVIRONMENT',
      tagged(bold('BLOCKPULL_URI'), text('the connection, where none is given')),
      tagged(bold('LIBVIRT_DEFAULT_URI'), text('the same, where BLOCKPULL_URI is not set')),
      tagged(bold('BLOCKPULL_IO'), text("'threads' uses pread and pwrite in place of io_uring")),
    ),
    seeAlso([...commands.map(pageName), 'qemu-img']),
  ])
}

/** @param {CommandSyntax} command @param {Source} source */
function commandPage(command, { commonOptions, exitMeanings, version }) {
  const name = pageName(command)
  const forms = command.usage.flatMap((form, index) => [...(index === 0 ? [] : ['.br']), usage(form)])
  return page(name, lowered(command.summary), version, [
    section('SYNOPSIS', ...forms),
    section('DESCRIPTION', text(command.summary), ...paragraphs(command.notes)),
    section('OPTIONS', ...options({ ...command.options, ...commonOptions })),
    exitSection(command.exitMeanings ?? exitMeanings),
    seeAlso(['blockpull']),
  ])
}

/** @param {CommandSyntax} command */
function pageName({ name }) {
  return `blockpull-${name}`
}

/** @param {string} name @param {string} purpose @param {string} version @param {string[]} sections */
function page(name, purpose, version, sections) {
  const head = `.TH ${name.toUpperCase()} 1 "" "blockpull ${version}" "blockpull"`
  const whatis = section('NAME', `${escaped(name)} \\- ${text(purpose)}`)
  return `${[head, whatis, ...sections].join('\n')}\n`
}

/** @param {string} heading @param {...string} lines */
function section(heading, ...lines) {
  return [`.SH ${heading}`, ...lines].join('\n')
}

/** @param {string} tag @param {string} line */
function tagged(tag, line) {
  return `.TP\n${tag}\n${line}`
}

/** @param {Readonly<Record<string, OptionSyntax>>} table */
function options(table) {
  return Object.entries(table).map(([name, { value, short, help }]) => {
    const argument = value === undefined ? '' : ` ${italic(value)}`
    return tagged(`${short === undefined ? '' : `${bold(`-${short}`)}, `}${bold(`--${name}`)}${argument}`, text(help))
  })
}

/** @param {Source['exitMeanings']} meanings */
function exitSection(meanings) {
  return section('EXIT STATUS', ...meanings.map(([code, meaning]) => tagged(bold(String(code)), text(meaning))))
}

/** @param {readonly string[]} names */
function seeAlso(names) {
  return section(
    'SEE ALSO',
    ...names.map((name, index) => `${reference(name)}${index === names.length - 1 ? '' : ','}`),
  )
}

/** A shorter line of a help page is the last of its sentence. */
const fullLine = 60

/** Lines of a help page, to be set anew. @param {readonly string[]} notes */
function paragraphs(notes) {
  return notes.flatMap((line, index) => {
    if (line === '') return []
    const before = notes[index - 1] ?? ''
    const start = before === '' ? ['.PP'] : before.length < fullLine ? ['.br'] : []
    return [...start, text(line)]
  })
}

/** A form of the command line: what is typed as it stands in bold, what stands for something else in italics.
 * @param {string} form */
function usage(form) {
  const words = `blockpull ${form}`.split(/([A-Z]{2,}|--?[a-z-]+|[a-z][a-z-]+)/)
  return words
    .map((word, index) => (index % 2 === 0 ? escaped(word) : /^[A-Z]/.test(word) ? italic(word) : bold(word)))
    .join('')
}

/** @param {string} name */
function reference(name) {
  return `${bold(name)}(1)`
}

/** @param {string} words */
function bold(words) {
  return `\\fB${escaped(words)}\\fR`
}

/** @param {string} words */
function italic(words) {
  return `\\fI${escaped(words)}\\fR`
}

/** A line of text, which must not begin as a request does. @param {string} line */
function text(line) {
  return escaped(line).replace(/^[.']/, '\\&$&')
}

/** roff takes '-' for a hyphen, and quotes for those of print. @param {string} words */
function escaped(words) {
  return words.replace(/[\\'"`~^-]/g, (letter) => roff.get(letter) ?? letter)
}

const roff = new Map([
  ['\\', '\\e'],
  ["'", '\\(aq'],
  ['"', '\\(dq'],
  ['`', '\\(ga'],
  ['~', '\\(ti'],
  ['^', '\\(ha'],
  ['-', '\\-'],
])

/** 'Print the digest.' -> 'print the digest' @param {string} sentence */
function lowered(sentence) {
  return `${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`.replace(/\.$/, '')
}
