// SPDX-License-Identifier: Apache-2.0
//
// Misbehaviour, one function a kind. Each gives a fault for the peer's options or for peer.misbehave(); any number
// of them work together. A fault that happens "once" has a count, and behaves afterwards.

/** @typedef {import('./types.js').Fault} Fault */
/** @typedef {import('./types.js').Failure} Failure */
/** @typedef {import('./types.js').Outgoing} Outgoing */

/** Which commands are meant: this one, these, or all. @typedef {string | readonly string[] | undefined} Names */

/** @param {Names} names @param {string} name */
const means = (names, name) =>
  names === undefined || (typeof names === 'string' ? names === name : names.includes(name))

/** Replies come so much later; events do not wait for them. @param {number} ms @param {Names} [names]
 * @returns {Fault} */
export function delayReplies(ms, names) {
  return {
    outgoing(message, next) {
      if (message.kind === 'reply' && means(names, message.command.name)) setTimeout(next, ms)
      else next()
    },
  }
}

/** Replies are kept until there are `count`, and then come last first. The negotiation is left alone.
 * @param {number} count @returns {Fault} */
export function reverseReplies(count) {
  /** @type {(() => void)[]} */
  let kept = []
  return {
    outgoing(message, next) {
      if (message.kind !== 'reply' || message.command.name === 'qmp_capabilities') return next()
      kept.push(next)
      if (kept.length < count) return
      const released = kept.reverse()
      kept = []
      for (const release of released) release()
    },
  }
}

/** The reply to `command` comes right after the next event of this name and, where given, this status.
 * @param {string} command @param {string} event @param {string} [status] @returns {Fault} */
export function replyAfterEvent(command, event, status) {
  /** @type {(() => void)[]} */
  const kept = []
  let hasCome = false
  return {
    received(received) {
      if (received.name === command) hasCome = false
      return undefined
    },
    outgoing(message, next) {
      if (message.kind === 'reply' && message.command.name === command && !hasCome) {
        kept.push(next)
        return
      }
      next()
      const isIt = message.kind === 'event' && message.name === event
      if (!isIt || (status !== undefined && message.data['status'] !== status)) return
      hasCome = true
      for (const release of kept.splice(0)) release()
    },
  }
}

/** Every message is cut into pieces of these many bytes, over and over. @param {...number} sizes @returns {Fault} */
export function fragment(...sizes) {
  let index = 0
  return cutBy(() => sizes[index++ % sizes.length] ?? 1)
}

/** The same with sizes from 1 to `most`, which follow from the seed. @param {number} seed @param {number} [most] */
export function fragmentAtRandom(seed, most = 64) {
  let state = seed >>> 0
  return cutBy(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return 1 + ((state >>> 16) % most)
  })
}

/** @param {() => number} nextSize @returns {Fault} */
function cutBy(nextSize) {
  return {
    cut(bytes) {
      const pieces = []
      for (let at = 0; at < bytes.length; ) {
        const size = nextSize()
        pieces.push(bytes.subarray(at, at + size))
        at += size
      }
      return pieces
    },
  }
}

/** As a monitor with pretty=on: one message over many lines. @returns {Fault} */
export function pretty() {
  return { print: (message) => JSON.stringify(message, null, 4) }
}

/** Accepts connections and says nothing, not even a greeting. @returns {Fault} */
export function mute() {
  return muteAfter(0)
}

/** Answers so many commands, the negotiation included, and then says nothing; 0 leaves out the greeting too.
 * @param {number} count @returns {Fault} */
export function muteAfter(count) {
  let left = count
  const isMute = () => left <= 0
  return {
    received: () => (isMute() ? 'ignore' : undefined),
    outgoing(message, next) {
      if (isMute()) return
      if (message.kind === 'reply') left--
      next()
    },
  }
}

/** Says these bytes right before the reply to the command, once. @param {string | Uint8Array} bytes
 * @param {string} command @returns {Fault} */
export function garbageBefore(bytes, command) {
  let isDone = false
  return {
    outgoing(message, next, line) {
      if (!isDone && message.kind === 'reply' && message.command.name === command) {
        isDone = true
        line.say(bytes)
      }
      next()
    },
  }
}

/**
 * Ends the connection at a command, `times` times (once): 'received' is before it is carried out, 'done' after
 * that and before the reply, 'answered' after the reply.
 * @param {string} command @param {'received' | 'done' | 'answered'} when @param {number} [times] @returns {Fault}
 */
export function hangUpAt(command, when, times = 1) {
  let left = times
  return {
    received({ name }, line) {
      if (name !== command || when !== 'received' || left <= 0) return undefined
      left--
      line.hangUp()
      return 'ignore'
    },
    outgoing(message, next, line) {
      const isIt = message.kind === 'reply' && message.command.name === command && left > 0 && when !== 'received'
      if (!isIt) return next()
      left--
      if (when === 'answered') next()
      line.hangUp()
    },
  }
}

/** Ends the connection at an event, once, 'before' or 'after' it is sent.
 * @param {string} event @param {'before' | 'after'} when @param {string} [status] of a JOB_STATUS_CHANGE
 * @returns {Fault} */
export function hangUpAtEvent(event, when, status) {
  let isDone = false
  return {
    outgoing(message, next, line) {
      const isIt = message.kind === 'event' && message.name === event
      if (isDone || !isIt || (status !== undefined && message.data['status'] !== status)) return next()
      isDone = true
      if (when === 'after') next()
      line.hangUp()
    },
  }
}

/** Refuses the commands without carrying them out, `times` times (always). @param {Names} names
 * @param {Failure} error @param {number} [times] @returns {Fault} */
export function refuse(names, error, times = Number.POSITIVE_INFINITY) {
  return insteadOf((name) => name !== 'qmp_capabilities' && means(names, name), { error }, times)
}

/** Answers the command with this, without carrying it out, `times` times (always). @param {string} command
 * @param {unknown} returned @param {number} [times] @returns {Fault} */
export function answer(command, returned, times = Number.POSITIVE_INFINITY) {
  return insteadOf((name) => name === command, { return: returned }, times)
}

/** @param {(name: string) => boolean} isMeant @param {{ return: unknown } | { error: Failure }} reply
 * @param {number} times @returns {Fault} */
function insteadOf(isMeant, reply, times) {
  let left = times
  return { received: ({ name }) => (isMeant(name) && left-- > 0 ? reply : undefined) }
}

/** Carries the command out and never answers. @param {string} command @returns {Fault} */
export function neverAnswer(command) {
  return {
    outgoing(message, next) {
      if (message.kind !== 'reply' || message.command.name !== command) next()
    },
  }
}

/** Keeps events of this name to itself, as if they were lost. @param {Names} [names] @returns {Fault} */
export function loseEvents(names) {
  return {
    outgoing(message, next) {
      if (message.kind !== 'event' || !means(names, message.name)) next()
    },
  }
}
