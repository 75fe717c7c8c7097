/**
 * The keys under which this package keeps its own state on objects of Node. No other package uses them.
 *
 * They come from `Symbol.for`: the ES module copy and the CommonJS copy of the package may live in one process and
 * serve the same request, and each must find the state of the other.
 */

/** On the stream state of a request: the source of its body. */
export const BODY: unique symbol = Symbol.for('sluiceway.body') as never

/** On the `_read` of a request: marks the methods of a replay as those of this package. */
export const REPLAYS: unique symbol = Symbol.for('sluiceway.replays') as never

/** On a request: the response whose client waits for `100 Continue`. */
export const CONTINUE: unique symbol = Symbol.for('sluiceway.continue') as never

/** On a request: the connection that a handler may take over. */
export const UPGRADE: unique symbol = Symbol.for('sluiceway.upgrade') as never

/** On a request: the settings of the last autoFlush that its response has passed. */
export const FLUSH_SETTINGS: unique symbol = Symbol.for('sluiceway.autoFlush.settings') as never

/** On a response: the state of its streaming, once its head has been written. */
export const STREAMING: unique symbol = Symbol.for('sluiceway.autoFlush') as never

/** On a function: marks it as the `flush` that autoFlush provides. */
export const PROVIDED: unique symbol = Symbol.for('sluiceway.autoFlush.flush') as never

/** On a method of a response: marks a layer of this package that passes on what it gets, above Node's own method. */
export const PASSING: unique symbol = Symbol.for('sluiceway.passing') as never

/** On a response, or what it inherits from: the outermost layer of its `write`. */
export const WRITE_LAYER: unique symbol = Symbol.for('sluiceway.autoFlush.write') as never

/** On a response, or what it inherits from: the outermost layer of its `writeHead`. */
export const HEAD_LAYER: unique symbol = Symbol.for('sluiceway.autoFlush.writeHead') as never

/** On a response: the state of the child processes that are, or were, piped into it. */
export const PIPED: unique symbol = Symbol.for('sluiceway.pipeChild') as never

/** On a socket: the object that closes it instead of Node. */
export const CLOSING: unique symbol = Symbol.for('sluiceway.closing') as never

/** On a socket: the watchers of its end, which share one listener. */
export const WATCHERS: unique symbol = Symbol.for('sluiceway.watchers') as never

/** On a socket: the bytes after the head of an upgrade that no handler has taken yet. */
export const EARLY_BYTES: unique symbol = Symbol.for('sluiceway.earlyBytes') as never

/** On a server: the application that `attach` has attached to it. */
export const ATTACHED: unique symbol = Symbol.for('sluiceway.attached') as never
