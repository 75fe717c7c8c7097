/**
 * The error codes of HTTP/2 that we send (RFC 9113 §7). `constants` of node:http2 has them too, but loads the
 * whole of HTTP/2 and TLS into every application.
 */
export const NO_ERROR = 0
export const INTERNAL_ERROR = 2

/** The state in which nghttp2 reports a stream that it has forgotten: `stream.state.state`. */
export const STREAM_IDLE = 1
