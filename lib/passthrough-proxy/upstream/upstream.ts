import type { Duplex, Readable } from 'node:stream'

/*
 * The wall of the proxy. On one side stands the exchange: what a request and its response go through. On the other
 * stands an upstream: how they travel to a server and back. Each side knows the other only through this file.
 *
 *     exchange ── send(request, receiver) ─────────────────────────▶ upstream
 *              ◀── onSending, onInformation*, onHead, onBody*, onReadOver*, onEnd ──
 *              ◀── or onUpgraded, or onFailure, at any point ──────────
 */

/** A request as it goes to a server. Nothing changes it any more. */
export interface UpstreamRequest {
  /** Scheme, host and port: 'http://127.0.0.1:8080'. */
  readonly origin: string
  readonly method: string
  /** Path and query, as they stand in the request line. */
  readonly path: string
  /**
   * Name, value, name, value, …, one latin1 character for each byte. Host only where it is not that of `origin`; no
   * Content-Length. A hook may have added lines that cannot be sent (Transfer-Encoding, Expect, Upgrade, Keep-Alive, bytes
   * that no line may hold): such a request is `unsendable`. Its `Connection: close` ends the connection.
   */
  readonly lines: readonly string[]
  readonly body: Readable | Buffer | string | null
  /**
   * The announced length of the body, in digits. Where it is undefined, a body that is a stream goes in chunks. A body of
   * another length is `unsendable`.
   */
  readonly contentLength: string | undefined
  /** The token of the protocol that the connection is to be upgraded to. */
  readonly upgrade: string | undefined
  /**
   * How long the server may take to begin its final response, interim ones included, in milliseconds. 0: no limit. The
   * time in which the request is still being sent does not count.
   */
  readonly headersTimeoutMs: number
  /** How long the server may be silent within a body, in milliseconds. 0: no limit. */
  readonly idleTimeoutMs: number
  /** How many requests may wait for a connection to `origin`. */
  readonly maxQueue: number
  /** Gives the trailers (name, value, …) once the body has ended; they go out behind a body in chunks. */
  readonly trailers?: (() => readonly string[]) | undefined
  /** The client's own connection, which a login that belongs to a connection (NTLM, Negotiate) is kept for. */
  readonly clientConnection?: ClientConnection | undefined
}

/** A connection of a client, as far as an upstream sees it. */
export interface ClientConnection {
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
  off(event: 'close', listener: () => void): unknown
}

/** The way of requests to servers. */
export interface Upstream {
  /**
   * Sends a request and tells `receiver` what becomes of it, perhaps before it returns. Never throws. The upstream owns
   * the queue, the choice of a connection, and the one retry of a request that a connection which had gone stale has lost.
   */
  send(request: UpstreamRequest, receiver: Receiver): Waiting
  /** Ends idle connections, and refuses further requests. */
  close(): void
}

/** A request that has been handed over. */
export interface Waiting {
  /**
   * Gives the request up, in the queue or under way. The receiver hears nothing of it any more. It may be called at any
   * time: while the receiver is being told something, and also after the end, where it does nothing.
   */
  abandon(): void
  /** Bytes of its body that have gone out so far, framing left out. */
  readonly bytesSent: number
}

/** A request that has a connection. */
export interface Sending {
  /** True where the connection has carried a request before; undefined where the upstream does not know. */
  readonly isReused?: boolean | undefined
  /** Stops reading the response. */
  pause(): void
  resume(): void
}

/** Hears of one request, always in the same order. It does not throw: it abandons the request instead. */
export interface Receiver {
  /** The request has a connection, and goes out. It comes again where the request is sent a second time. */
  onSending(sending: Sending): void
  /** An interim response (1xx but 101). The lines are the receiver's to change. */
  onInformation(status: number, lines: string[]): void
  /** The final head, its framing headers included. The lines are the receiver's to change. */
  onHead(status: number, reason: string, lines: string[]): void
  /** Bytes of the body, without framing. */
  onBody(chunk: Buffer): void
  /**
   * All that was read at once has been told, the final head at least, and the end is still to come. Returns true where the memory of its chunks is
   * still needed; it is read into again where it is not.
   */
  onReadOver(): boolean
  /**
   * The end of the response, with the last bytes of the body where those came with it. Returns false where their memory
   * is not needed any more; undefined counts as true.
   */
  onEnd(trailers: string[], last?: Buffer): boolean | void
  /** The server has switched protocols: the connection is the receiver's. `early` came behind the head. */
  onUpgraded(lines: string[], connection: Duplex, early: Buffer): void
  /** The request has failed; nothing comes behind it. */
  onFailure(failure: Failure): void
}

/**
 * - `unreachable`: no connection, or no such name.
 * - `untrusted`: a certificate that is not trusted, or not that of the host.
 * - `reset`: the server has closed the connection before the end of its response.
 * - `malformed`: bytes that are no response, or too many of them.
 * - `timeout`: connectTimeoutMs, headersTimeoutMs or idleTimeoutMs have passed.
 * - `unsendable`: the request cannot be written as it is.
 * - `queue-full`: too many requests wait for a connection already.
 * - `closed`: the upstream was closed.
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
  /** False where no server can have received any of the request: it may be sent elsewhere. */
  readonly maybeHeard: boolean
  /** What happened, in words that a client may read where its status is below 500; by default those of the kind. */
  readonly message?: string | undefined
  /** The error behind it. Where the body of the request has failed, the very error of that stream. */
  readonly cause: unknown
}
