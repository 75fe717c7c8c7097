import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SluicewayError } from './errors.js'

/*
 * The messages of the diagnostics channels in channels.ts. docs/observing.md says when each of them is published.
 */

/** The message of each channel. The five channels of a proxied request share one message: see `ProxiedRequest`. */
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

/** The request and response that a message is about. */
export interface ObservedExchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

/** `sluiceway:body:refused`: the rest of a body is not read, and its connection will close. */
export interface BodyRefused extends ObservedExchange {
  /** The reason: 413 too large, 408 too slow, 431 too many header lines, 503 no room to keep it, 500 its file failed. */
  readonly error: SluicewayError
}

/** `sluiceway:body:spilled`: a kept body is too large for memory, and its rest goes into a file. */
export interface BodySpilled extends ObservedExchange {
  /** The bytes that stay in memory. */
  readonly memoryBytes: number
  /** The directory of the file. */
  readonly directory: string
}

/** `sluiceway:body:stored`: a kept body is complete, or was cut. */
export interface BodyStored extends ObservedExchange {
  readonly memoryBytes: number
  readonly fileBytes: number
  /** False if the body was refused, or its client left before the end. */
  readonly isWhole: boolean
}

/** `sluiceway:flush`: autoFlush has found that a response is a stream, and sends each write from now on. */
export interface FlushStarted extends ObservedExchange {
  /** True if the response goes through a compressor, which is then flushed after each write. */
  readonly isCompressed: boolean
}

/** `sluiceway:child:start`: pipeChild was called with a child. */
export interface ChildStarted extends ObservedExchange {
  /** The child that was given. */
  readonly child: object
}

/** `sluiceway:child:exit`: pipeChild has settled. */
export interface ChildExited extends ChildStarted {
  /** The exit code. It is null, like `signal`, if the child could not be started or its exit is not known. */
  readonly code: number | null
  readonly signal: string | null
  /** Milliseconds since `sluiceway:child:start`. */
  readonly durationMs: number
  /** True if the client had left by then, which ends the child. */
  readonly isClientGone: boolean
  /** The error with which pipeChild rejects, if it does. */
  readonly error: unknown
}

/** `sluiceway:upgrade`: attach has decided how a request with `Upgrade` is handled. */
export interface UpgradeDecided {
  readonly req: IncomingMessage
  /** The value of its header: 'websocket'. */
  readonly upgrade: string
  /**
   * 'offered': the app gets it with its connection. 'left': the other listeners of the server get it, possibly after the
   * app. 'plain': it is served as a request without an upgrade. 'cut': its connection is closed.
   */
  readonly outcome: 'offered' | 'left' | 'plain' | 'cut'
}

/** `sluiceway:contained`: an exception that would have ended the process ends only this connection. */
export interface ExceptionContained {
  /** undefined if there is no request yet. */
  readonly req: IncomingMessage | undefined
  readonly error: unknown
}

/** Header lines. Names are compared without regard to case, and a repeated name has several lines. */
export interface HeaderLines extends Iterable<readonly [name: string, value: string]> {
  /** Returns the value of the first line called `name`; undefined if there is none. */
  get(name: string): string | undefined
  /** Returns the values of all lines called `name`. */
  getAll(name: string): string[]
  has(name: string): boolean
  /** Replaces all lines called `name` by one at the end. */
  set(name: string, value: string): void
  /** Adds one line at the end. */
  append(name: string, value: string): void
  /** Removes all lines called `name`. */
  delete(name: string): void
}

/** The head of a request to the upstream. */
export interface OutgoingHead {
  /** Scheme, host and port. */
  readonly origin: string
  readonly method: string
  /** Path and query. */
  readonly path: string
  /**
   * The lines without Host, framing and hop-by-hop headers. Subscribers of `start` may change them; later changes have
   * no effect.
   */
  readonly headers: HeaderLines
}

/**
 * - `answered`: the upstream's answer was read to its end, and handed to the client's connection.
 * - `upgraded`: the two connections were joined, and are now closed.
 * - `failed`: the request ended with `error`.
 * - `client-left`: the client left before the end.
 * - `answered-here`: the application answered in the meantime, for example with a timeout.
 */
export type ProxyOutcome = 'answered' | 'upgraded' | 'failed' | 'client-left' | 'answered-here'

/**
 * `tracing:sluiceway:proxy:…`: a request on its way through passthroughProxy, from `start` to `asyncEnd`. All five
 * channels publish the same object, which is filled in on the way.
 */
export interface ProxiedRequest extends ObservedExchange {
  /** The head of the request to the upstream; undefined if the request failed before there was one. */
  readonly outgoing: OutgoingHead | undefined
  /** The status of the upstream's answer, 101 for a tunnel; undefined before the head. */
  readonly status: number | undefined
  /** Milliseconds between the call of the proxy and the head of the answer; undefined before the head. */
  readonly headMs: number | undefined
  /** Milliseconds between the call of the proxy and `asyncEnd`; undefined before. */
  readonly totalMs: number | undefined
  /** Bytes of the body, or of the tunnel, that were sent to the upstream. */
  readonly requestBytes: number
  /** Bytes of the body, or of the tunnel, that the upstream has sent, before any change. */
  readonly responseBytes: number
  /** True if the request was sent twice, because the upstream had closed the first connection. */
  readonly isRetried: boolean
  /** The number of targets it was sent to, one after the other: more than one if the first could not be reached. */
  readonly attempts: number
  /** The way in which the request ended; undefined before the end. */
  readonly outcome: ProxyOutcome | undefined
  /** The error that `next` gets, or for which the answer was cut. */
  readonly error: unknown
}
