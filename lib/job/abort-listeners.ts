// SPDX-License-Identifier: Apache-2.0
//
// Many jobs on one AbortSignal, with one listener.
//
// Services stop hundreds of jobs by one signal. Node warns of a leak from the eleventh listener on, and raising that
// limit would change an object that is not ours. So each signal gets a single listener. It calls every callback, and is
// removed with the last of them. Signals are held weakly.

const waiting = new WeakMap<AbortSignal, { readonly callbacks: Set<() => void>; readonly listener: () => void }>()

/** Calls `callback` when the signal is aborted. Returns a function that ends this. */
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
