/**
 * The keys under which this package keeps its own state on objects of Node: no other package uses them.
 *
 * They come from `Symbol.for`: the ES module copy and the CommonJS copy of the package may live in one process and serve
 * one request, and each must find what the other has put there. The objects are not interchangeable either: up to
 * Node 22, each property added to a request that Express has handled costs V8 a hidden class.
 */

/** In the stream state of a request: the source of its body. */
export const BODY: unique symbol = Symbol.for('sluiceway.body') as never

/** On the `_read` of a request: this package has put it there, with the other methods of a replay. */
export const REPLAYS: unique symbol = Symbol.for('sluiceway.replays') as never

/** On a request: the response whose client waits for `100 Continue`. */
export const CONTINUE: unique symbol = Symbol.for('sluiceway.continue') as never

/** On a request: the connection that may be taken over for it. */
export const UPGRADE: unique symbol = Symbol.for('sluiceway.upgrade') as never

/** On a request: the settings of the autoFlush that its response has passed last. */
export const FLUSH_SETTINGS: unique symbol = Symbol.for('sluiceway.autoFlush.settings') as never

/** On a response: what flushes it, once its head is out. */
export const STREAMING: unique symbol = Symbol.for('sluiceway.autoFlush') as never

/** On a response, or what it inherits from: the outermost layer of its `write`. */
export const WRITE_LAYER: unique symbol = Symbol.for('sluiceway.autoFlush.write') as never

/** On a response, or what it inherits from: the outermost layer of its `writeHead`. */
export const HEAD_LAYER: unique symbol = Symbol.for('sluiceway.autoFlush.writeHead') as never

/** On a response: what becomes of it after the child that is, or was, piped into it. */
export const PIPED: unique symbol = Symbol.for('sluiceway.pipeChild') as never

/** On a socket: what closes it in place of Node. */
export const CLOSING: unique symbol = Symbol.for('sluiceway.closing') as never

/** On a socket: all that wait for its end, behind one listener. */
export const WATCHERS: unique symbol = Symbol.for('sluiceway.watchers') as never

/** On a socket: what came behind the head of an upgrade that no handler has taken yet. */
export const EARLY_BYTES: unique symbol = Symbol.for('sluiceway.earlyBytes') as never

/** On a server: the application that `attach` has wired to it. */
export const ATTACHED: unique symbol = Symbol.for('sluiceway.attached') as never
