type Listener = (...args: never[]) => unknown

/** Tells whether a listener is that of `await once(emitter, event)`, which waits for ever if the event does not come. */
export function isAwaited(listener: Listener & { readonly listener?: Listener }): boolean {
  // Node gives its function this name.
  return listener.listener?.name === 'resolver'
}
