export * from './body-cache.js'
export * from './max-bytes.js'
export { type ErrorCode, isSluicewayError, type SluicewayError } from './shared/errors.js'
export type { Middleware, NextFunction } from './shared/middleware.js'
