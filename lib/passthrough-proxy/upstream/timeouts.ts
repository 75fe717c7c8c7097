/* The messages of a 504: each names the option that sets the limit. */

export const CONNECT_TIMEOUT = 'the upstream took too long to accept a connection (connectTimeoutMs)'

export const HEADERS_TIMEOUT = 'the upstream took too long to begin its answer (headersTimeoutMs)'

export const IDLE_TIMEOUT = 'the upstream was silent for too long within its answer (idleTimeoutMs)'
