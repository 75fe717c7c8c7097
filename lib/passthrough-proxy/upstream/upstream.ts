import type { Duplex, Readable } from 'node:stream'

/*
 * The wall inside the proxy. On one side is the exchange, which handles a request and its response. On the other is
 * an upstream, which carries them to a server and back. Each side knows the other only through this file.
 *
 *     exchange ── send(request, receiver) ─────────────────────────▶ upstream
 *              ◀── onSending, onInformation*, onHead, onBody*, onReadOver*, onEnd ──
 *              ◀── or onUpgraded, or onFailure, at any point ──────────
 */

/** A request as it is sent to a server. It is not changed any more. */
export interface UpstreamRequest {
  /** Scheme, host and port: 'http://127.0.0.1:8080'. */
  readonly origin: string
  readonly method: string
  /** Path and query, as they appear in the request line. */
  readonly path: string
  /**
   * Name, value, name, value, …, one latin1 character for each byte. Host is only there if it differs from that of
   * `origin`; Content-Length never is. A hook may have added lines that cannot be sent (Transfer-Encoding, Expect,
   * Upgrade, Keep-Alive, bytes that no line may hold): such a request is `unsendable`. `Connection: close` ends the
   * connection.
   */
  readonly lines: readonly string[]
  readonly body: Readable | Buffer | string | null
  /**
   * Takes the body out of its stream if all of it has arrived by now. It may be called once the request has a
   * connection; until then nothing of the body is read, so that the request can be sent elsewhere.
   */
  readonly takeBody?: (() => Buffer | undefined) | undefined
  /**
   * Returns the bytes of the body that other readers have taken out of its stream by now. It is called once, as the
   * first step of reading the stream.
   */
  readonly taken?: (() => readonly (Buffer | string)[] | undefined) | undefined
  /**
   * The announced length of the body, in digits. If it is undefined, a stream is sent in chunks. A body of another
   * length is `unsendable`.
   */
  readonly contentLength: string | undefined
  /** The token of the protocol to which the connection is to be upgraded. */
  readonly upgrade: string | undefined
  /**
   * The time, in milliseconds, in which the server has to begin its final response, including interim ones. 0: no
   * limit. The time in which the request is still being sent does not count.
   */
  readonly headersTimeoutMs: number
  /** The longest silence of the server within a body, in milliseconds. 0: no limit. */
  readonly idleTimeoutMs: number
  /** The number of requests that may wait for a connection to `origin`. */
  readonly maxQueue: number
  /** Returns the trailers (name, value, …) once the body has ended; they are sent after a body in chunks. */
  readonly trailers?: (() => readonly string[]) | undefined
  /** The client's own connection, for which a login that belongs to a connection (NTLM, Negotiate) is kept. */
  readonly clientConnection?: ClientConnection | undefined
}

/** A connection of a client as an upstream sees it. */
export interface ClientConnection {
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
  off(event: 'close', listener: () => void): unknown
}

/** Carries requests to servers. */
export interface Upstream {
  /**
   * Sends a request and reports the outcome to `receiver`, possibly before it returns. It never throws. The upstream
   * owns the queue, the choice of a connection, and the single retry of a request that was lost with a stale
   * connection.
   */
  send(request: UpstreamRequest, receiver: Receiver): Attempt
  /** Ends idle connections, and keeps none from now on. Requests that came before may still be sent. */
  close(): void
}

/** A request that has been handed over: it waits for a connection, has one, or is over. */
export interface Attempt {
  /**
   * Gives the request up, in the queue or in progress. The receiver is not called any more. This may be called at any
   * time, even within a call of the receiver, and after the end, when it has no effect.
   */
  abandon(): void
  /** Bytes of its body that have gone out so far, framing left out. */
  readonly bytesSent: number
}

/** A request that has a connection. */
export interface Sending {
  /** True if the connection has carried a request before; undefined if the upstream does not know. */
  readonly isReused?: boolean | undefined
  /** Stops reading the response. */
  pause(): void
  resume(): void
}

/** Receives the events of one request, always in the same order. It never throws, but abandons the request instead. */
export interface Receiver {
  /** Called when the request has a connection and is being sent; called again if it is sent a second time. */
  onSending(sending: Sending): void
  /** Called with an interim response (1xx except 101). The receiver may change the lines. */
  onInformation(status: number, lines: string[]): void
  /** Called with the final head, including its framing headers. The receiver may change the lines. */
  onHead(status: number, reason: string, lines: string[]): void
  /** Called with bytes of the body, without framing. */
  onBody(chunk: Buffer): void
  /**
   * Called when all bytes of one read have been passed on, at least the final head, and the end is still to come.
   * Returns true if the memory of the chunks is still needed; otherwise it is reused.
   */
  onReadOver(): boolean
  /**
   * Called at the end of the response, with the last bytes of the body if they came together with it. Returns false
   * if their memory is not needed any more; undefined counts as true.
   */
  onEnd(trailers: string[], last?: Buffer): boolean | void
  /** Called when the server has switched protocols: the receiver owns the connection. `early` came after the head. */
  onUpgraded(lines: string[], connection: Duplex, early: Buffer): void
  /** Called when the request has failed; it is the last call. */
  onFailure(failure: Failure): void
}

/**
 * - `unreachable`: there is no connection, or no such name.
 * - `untrusted`: a certificate that is not trusted, or belongs to another host.
 * - `reset`: the server has closed the connection before the end of its response.
 * - `malformed`: bytes that are no response, or too many of them.
 * - `timeout`: connectTimeoutMs, headersTimeoutMs or idleTimeoutMs have passed.
 * - `unsendable`: the request cannot be written as it is.
 * - `queue-full`: too many requests already wait for a connection.
 * - `closed`: the connections were closed, or a dispatcher by its owner.
 * - `broken`: a part of the upstream that the application has supplied has thrown.
 */
export type FailureKind =
  | 'unreachable'
  | 'untrusted'
  | 'reset'
  | 'malformed'
  | 'timeout'
  | 'unsendable'
  | 'queue-full'
  | 'closed'
  | 'broken'

export interface Failure {
  readonly kind: FailureKind
  /**
   * False if the request may be sent elsewhere: no server can have received any of it, or it may be sent twice without
   * a second effect, and was to be sent once more.
   */
  readonly maybeHeard: boolean
  /** A description that a client may read if its status is below 500; the default is that of the kind. */
  readonly message?: string | undefined
  /** The error behind the failure. If the body of the request has failed, it is the error of that stream itself. */
  readonly cause: unknown
}
