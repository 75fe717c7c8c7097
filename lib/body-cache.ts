import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AccessorSettings, type BodyCache, KeptBody } from './body-cache/accessors.js'
import type { PrototypePoisoning } from './body-cache/parsers.js'
import { announcesBody, bodySourceOf } from './shared/body-source.js'
import type { Middleware, NextFunction } from './shared/middleware.js'
import { type ByteSize, byteSize, flag, oneOf, readOptions, rejectRequest } from './shared/options.js'

export type { BodyCache } from './body-cache/accessors.js'
export type { PrototypePoisoning } from './body-cache/parsers.js'
export type { StandardSchema } from './body-cache/standard-schema.js'
export type { ByteSize } from './shared/options.js'

declare module 'node:http' {
  interface IncomingMessage {
    /** Reads the body in a chosen form, as often as wanted. Set by `bodyCache()`. */
    bodyCache: BodyCache
  }
}

export interface BodyCacheOptions {
  /** Largest body that is kept, in bytes on the wire; a larger one is refused with 413. @default '100mb' */
  readonly limit?: ByteSize | undefined
  /**
   * Largest size, in bytes, to which `text()`, `json()`, `urlencoded()` and the like decompress a body that came with
   * Content-Encoding; a larger one is refused with 413. @default '10mb'
   */
  readonly inflateLimit?: ByteSize | undefined
  /**
   * What `json()` and `urlencoded()` do with keys that would poison a prototype, `__proto__` and
   * `constructor.prototype`: 'error' refuses the body with 400, 'remove' drops the keys, 'ignore' leaves them to the
   * handler. @default 'error'
   */
  readonly prototypePoisoning?: PrototypePoisoning | undefined
  /**
   * true: the whole body is read before the next handler runs, and set as `req.rawBody`, a Buffer, as webhook
   * libraries expect it. @default false
   */
  readonly rawBody?: boolean | undefined
}

interface BodyCacheSettings extends AccessorSettings {
  readonly limit: number
  readonly rawBody: boolean
}

/**
 * Keeps the body of a request so that it can be read again and again.
 *
 * `req` itself stays readable: every parser, proxy or stream reads it as if for the first time, byte for byte.
 * `req.bodyCache` gives it as buffer, text, JSON, form or stream. Nothing is read until somebody reads, and everything
 * is released when the response ends.
 *
 * NOTE: mount it before whatever reads the body; a body that was read before is an error with `code`
 * 'ERR_SLUICEWAY_BODY_ALREADY_READ', unless a host left it as `req.rawBody`.
 *
 * @example app.use(bodyCache())
 * @throws TypeError or RangeError for a wrong option.
 * @see docs/body-cache.md
 */
export function bodyCache(options: BodyCacheOptions = {}): Middleware {
  rejectRequest('bodyCache', options)
  const settings = readOptions<BodyCacheSettings>('bodyCache', options, {
    limit: byteSize('100mb', { unlimited: true }),
    inflateLimit: byteSize('10mb', { unlimited: true }),
    prototypePoisoning: oneOf<PrototypePoisoning>(['error', 'remove', 'ignore'], 'error'),
    rawBody: flag(false),
  })
  return function bodyCacheMiddleware(req, res, next) {
    keepBody(settings, req, res, next)
  }
}

function keepBody(
  settings: BodyCacheSettings,
  req: IncomingMessage,
  res: ServerResponse,
  next: NextFunction,
): void {
  if (!announcesBody(req)) {
    req.bodyCache = new KeptBody(req, undefined, settings)
    provideRawBody(settings, req, next)
    return
  }
  const source = bodySourceOf(req, res)
  source.keep()
  const error = source.addLimit(settings.limit)
  req.bodyCache = new KeptBody(req, source, settings)
  if (error !== undefined) next(error)
  else provideRawBody(settings, req, next)
}

function provideRawBody({ rawBody }: BodyCacheSettings, req: IncomingMessage, next: NextFunction): void {
  if (rawBody) readRawBody(req as IncomingMessage & { rawBody?: Buffer }).then(() => next(), next)
  else next()
}

async function readRawBody(req: IncomingMessage & { rawBody?: Buffer }): Promise<void> {
  req.rawBody = await req.bodyCache.buffer()
}
