import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SluicewayError } from './errors.js'

/*
 * The messages of the diagnostics channels, which channels.ts has. docs/observing.md says when each of them comes.
 */

/** Every channel and its message. Of a proxied request, five channels tell with one message: see `ProxiedRequest`. */
export interface ChannelMessages {
  readonly 'sluiceway:body:refused': BodyRefused
  readonly 'sluiceway:body:spilled': BodySpilled
  readonly 'sluiceway:body:stored': BodyStored
  readonly 'sluiceway:flush': FlushStarted
  readonly 'sluiceway:child:start': ChildStarted
  readonly 'sluiceway:child:exit': ChildExited
  readonly 'sluiceway:upgrade': UpgradeDecided
  readonly 'sluiceway:contained': ExceptionContained
  readonly 'tracing:sluiceway:proxy:start': ProxiedRequest
  readonly 'tracing:sluiceway:proxy:end': ProxiedRequest
  readonly 'tracing:sluiceway:proxy:asyncStart': ProxiedRequest
  readonly 'tracing:sluiceway:proxy:asyncEnd': ProxiedRequest
  readonly 'tracing:sluiceway:proxy:error': ProxiedRequest
}

/** The exchange that a message is about. */
export interface ObservedExchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

/** `sluiceway:body:refused`: no more of a body is read, and its connection will close. */
export interface BodyRefused extends ObservedExchange {
  /** Why: 413 too large, 408 too slow, 431 a head with too many lines, 503 no room to keep it, 500 its file has failed. */
  readonly error: SluicewayError
}

/** `sluiceway:body:spilled`: a body that is kept does not fit into memory, and goes on into a file. */
export interface BodySpilled extends ObservedExchange {
  /** How much of it stays in memory. */
  readonly memoryBytes: number
  /** Where the file is. */
  readonly directory: string
}

/** `sluiceway:body:stored`: no more of a kept body comes. */
export interface BodyStored extends ObservedExchange {
  readonly memoryBytes: number
  readonly fileBytes: number
  /** False where the body was refused, or its client has left before its end. */
  readonly isWhole: boolean
}

/** `sluiceway:flush`: autoFlush has found that a response is a stream; what is written to it goes out from here on. */
export interface FlushStarted extends ObservedExchange {
  /** It goes through a compressor, which is flushed behind the writes. */
  readonly isCompressed: boolean
}

/** `sluiceway:child:start`: pipeChild has been given a child. */
export interface ChildStarted extends ObservedExchange {
  /** The very object. */
  readonly child: object
}

/** `sluiceway:child:exit`: pipeChild is done with a child. */
export interface ChildExited extends ChildStarted {
  /** Both are null where the child could not be started, or its end was not waited for. */
  readonly code: number | null
  readonly signal: string | null
  /** Milliseconds since `sluiceway:child:start`. */
  readonly durationMs: number
  /** The client had left by then, which ends the child. */
  readonly isClientGone: boolean
  /** What pipeChild rejects with. */
  readonly error: unknown
}

/** `sluiceway:upgrade`: attach has decided what becomes of a request with `Upgrade`. */
export interface UpgradeDecided {
  readonly req: IncomingMessage
  /** What its header asks for: 'websocket'. */
  readonly upgrade: string
  /**
   * 'offered' to the app, with the connection; 'left' to the other listeners of the server, perhaps after that; served as a
   * 'plain' request; or 'cut' off.
   */
  readonly outcome: 'offered' | 'left' | 'plain' | 'cut'
}

/** `sluiceway:contained`: something threw where the process would have ended; only this connection does. */
export interface ExceptionContained {
  /** undefined where there is no request yet. */
  readonly req: IncomingMessage | undefined
  readonly error: unknown
}

/** Header lines. Names are compared without regard to case; a repeated name has several lines. */
export interface HeaderLines extends Iterable<readonly [name: string, value: string]> {
  /** The value of the first line called `name`. */
  get(name: string): string | undefined
  /** The values of all lines called `name`. */
  getAll(name: string): string[]
  has(name: string): boolean
  /** Replaces every line called `name` by one at the end. */
  set(name: string, value: string): void
  /** Adds one line at the end. */
  append(name: string, value: string): void
  /** Removes every line called `name`. */
  delete(name: string): void
}

/** The head of a request as it goes to the upstream. */
export interface OutgoingHead {
  /** Scheme, host and port. */
  readonly origin: string
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Without Host, framing and hop-by-hop headers. A subscriber of `start` may change them; later it has no effect. */
  readonly headers: HeaderLines
}

/**
 * - `answered`: the upstream's answer was read to its end, and handed to the client's connection.
 * - `upgraded`: the connections were joined, and are closed by now.
 * - `failed`: it ended with `error`.
 * - `client-left`: the client has left before the end.
 * - `answered-here`: the application has answered itself meanwhile, with a timeout, say.
 */
export type ProxyOutcome = 'answered' | 'upgraded' | 'failed' | 'client-left' | 'answered-here'

/**
 * `tracing:sluiceway:proxy:…`: a request on its way through passthroughProxy, from `start` to `asyncEnd`. All five tell
 * with one object, which is filled in as it goes.
 */
export interface ProxiedRequest extends ObservedExchange {
  /** undefined where the request has failed before there was one. */
  readonly outgoing: OutgoingHead | undefined
  /** The status of the upstream's answer, 101 for a tunnel; undefined while there is none. */
  readonly status: number | undefined
  /** Milliseconds from when the proxy got the request to the head of the answer; undefined while there is none. */
  readonly headMs: number | undefined
  /** Milliseconds from when the proxy got the request to `asyncEnd`; undefined before. */
  readonly totalMs: number | undefined
  /** Bytes of the body that have gone to the upstream, or through the tunnel. */
  readonly requestBytes: number
  /** Bytes of the body that have come from there, as they came. */
  readonly responseBytes: number
  /** It was sent twice: the first connection had been closed meanwhile. */
  readonly isRetried: boolean
  /** undefined before the end. */
  readonly outcome: ProxyOutcome | undefined
  /** What `next` is given, or what the answer was cut for. */
  readonly error: unknown
}
