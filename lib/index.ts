/*
 * Values are named here: the loader of OpenTelemetry and New Relic (import-in-the-middle) takes a name that two `export *`
 * lead to for two different values, and drops it; its first versions fail at any `export *`.
 */
export { attach } from './attach.js'
export { autoFlush } from './auto-flush.js'
export { bodyCache } from './body-cache.js'
export { maxBytes } from './max-bytes.js'
export { passthroughProxy } from './passthrough-proxy.js'
export { pipeChild } from './pipe-child.js'
export { type ErrorCode, isSluicewayError, type SluicewayError } from './shared/errors.js'
export type * from './attach.js'
export type * from './auto-flush.js'
export type * from './body-cache.js'
export type * from './max-bytes.js'
export type * from './passthrough-proxy.js'
export type * from './pipe-child.js'
export type * from './shared/messages.js'
export type { Middleware, NextFunction } from './shared/middleware.js'
