/* What a client reads of a 504: each says which option sets the limit. */

export const CONNECT_TIMEOUT = 'the upstream took too long to accept a connection (connectTimeoutMs)'

export const HEADERS_TIMEOUT = 'the upstream took too long to begin its answer (headersTimeoutMs)'

export const IDLE_TIMEOUT = 'the upstream was silent for too long within its answer (idleTimeoutMs)'
