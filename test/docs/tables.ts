// SPDX-License-Identifier: Apache-2.0
//
// The sections and tables of a document. Pure functions over text.

/** The text under a heading, up to the next one of its level or above; '' where there is none such. */
export function sectionOf(markdown: string, heading: string): string {
  const lines = markdown.split('\n')
  const at = lines.indexOf(heading)
  if (at < 0) return ''
  const level = heading.indexOf(' ')
  const end = lines.findIndex((line, index) => index > at && /^#+ /.test(line) && line.indexOf(' ') <= level)
  return lines.slice(at + 1, end < 0 ? undefined : end).join('\n')
}

/** The headings of a document, as written, but for lines that begin with '#' in a block of code. */
export function headingsOf(markdown: string): string[] {
  return markdown
    .replace(/^```[\s\S]*?^```$/gm, '')
    .split('\n')
    .filter((line) => /^#+ /.test(line))
}

/** The rows of the tables in a text, cell by cell, without heads. */
export function rowsOf(text: string): string[][] {
  const lines = text.split('\n')
  return lines
    .filter((line, index) => line.startsWith('| ') && !lines[index + 1]?.startsWith('| ---') && !/^\| ---/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    )
}

/** What is in backticks. */
export function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
}

/** What two lists do not agree on. */
export function differences(documented: readonly string[], real: readonly string[]): string[] {
  return [
    ...real.filter((name) => !documented.includes(name)).map((name) => `${name} is not in the document`),
    ...documented.filter((name) => !real.includes(name)).map((name) => `${name} does not exist`),
    ...documented.filter((name, at) => documented.indexOf(name) !== at).map((name) => `${name} is there twice`),
  ]
}
