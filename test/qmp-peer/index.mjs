// SPDX-License-Identifier: Apache-2.0
//
// What a test uses of the peer; README.md shows how.

export * as faults from './faults.mjs'
export { MessageSplitter } from './message-splitter.mjs'
export { QmpPeer } from './peer.mjs'
export { PeerProcess } from './peers.mjs'
export { versions } from './versions.mjs'
