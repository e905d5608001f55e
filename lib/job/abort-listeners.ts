// SPDX-License-Identifier: Apache-2.0
//
// Many jobs on one AbortSignal, with one listener.
//
// Services stop hundreds of jobs by one signal. Node warns of a leak from the eleventh listener of a signal on, and
// raising that limit would change an object that is not ours; so each signal gets a single listener, which calls
// everybody that waits, and goes when the last of them has gone. Signals are held weakly.

const waiting = new WeakMap<AbortSignal, { readonly callbacks: Set<() => void>; readonly listener: () => void }>()

/** Calls `callback` when the signal is aborted; gives the function that ends this. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const known = waiting.get(signal)
  const callbacks = known?.callbacks ?? new Set<() => void>()
  const listener =
    known?.listener ??
    (() => {
      for (const each of [...callbacks]) each()
    })
  if (known === undefined) {
    waiting.set(signal, { callbacks, listener })
    signal.addEventListener('abort', listener, { once: true })
  }
  callbacks.add(callback)
  return () => {
    callbacks.delete(callback)
    if (callbacks.size > 0 || waiting.get(signal)?.callbacks !== callbacks) return
    signal.removeEventListener('abort', listener)
    waiting.delete(signal)
  }
}
