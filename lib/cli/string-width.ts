// SPDX-License-Identifier: Apache-2.0
//
// The columns that a text takes on a terminal: the one import of a library in the command.
//
// Wide characters, emoji and combining marks follow tables that change with Unicode, which is a library's work.
// `scripts/bundle` puts it into the compiled file, so that the package needs no further package at run time.

export { default as stringWidth } from 'string-width'
