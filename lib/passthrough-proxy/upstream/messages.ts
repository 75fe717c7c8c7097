/* The messages of failures that the built-in client and a dispatcher report in the same words. */

export const CONNECT_TIMEOUT = 'the upstream took too long to accept a connection (connectTimeoutMs)'

export const HEADERS_TIMEOUT = 'the upstream took too long to begin its answer (headersTimeoutMs)'

export const IDLE_TIMEOUT = 'the upstream was silent for too long within its answer (idleTimeoutMs)'

export const TOO_MANY_INTERIM = 'the upstream sent too many interim responses'

export const HEAD_TOO_LARGE = 'the headers of the upstream are too large'
