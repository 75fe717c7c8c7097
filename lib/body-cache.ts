import type { IncomingMessage, ServerResponse } from 'node:http'
import os from 'node:os'
import { type AccessorSettings, type BodyCache, KeptBody } from './body-cache/accessors.js'
import type { PrototypePoisoning } from './body-cache/prototype-poisoning.js'
import { bodySourceOf, requireStream } from './body/tap.js'
import type { Storage } from './body/kept/store.js'
import { ByteBudget } from './body/kept/byte-budget.js'
import type { Middleware, NextFunction } from './shared/middleware.js'
import { mayHaveBody } from './node/request-facts.js'
import { isCloseDue } from './node/stream-state.js'
import { type ByteSize, byteSize, flag, oneOf, readOptions, writableDirectory } from './shared/options.js'

export type { BodyCache } from './body-cache/accessors.js'
export type { PrototypePoisoning } from './body-cache/prototype-poisoning.js'
export type { StandardSchema } from './body-cache/standard-schema.js'
export type { ByteSize } from './shared/options.js'

declare module 'node:http' {
  interface IncomingMessage {
    /** Reads the body in a chosen form, as often as wanted. Set by `bodyCache()`. */
    bodyCache: BodyCache
  }
}

export interface BodyCacheOptions {
  /**
   * Largest body that is kept, in bytes on the wire; a larger one is refused with 413. 0 refuses every body, Infinity none.
   * @default '100mb'
   */
  readonly limit?: ByteSize | undefined
  /**
   * How many bytes of one body are kept in memory. What comes after them goes to a temporary file, whose mode is 0600 and
   * which is unlinked as soon as it is open. 0 keeps nothing in memory. @default '1mb'
   */
  readonly memory?: ByteSize | undefined
  /**
   * How many bytes all live requests of this instance keep in memory together; past it, new bytes go to files. 0 keeps nothing in
   * memory.
   * @default '256mb'
   */
  readonly memoryBudget?: ByteSize | undefined
  /**
   * How many bytes all live requests of this instance keep in files together; past it, or on a full disk, a body is
   * refused with 503 and `Retry-After`. 0 allows no files. @default '10gb'
   */
  readonly diskBudget?: ByteSize | undefined
  /** The directory of the temporary files. @default os.tmpdir() */
  readonly directory?: string | undefined
  /**
   * Largest body that `buffer()`, `text()`, `json()`, `urlencoded()`, `formData()`, `blob()` and `rawBody` load into
   * memory, in bytes after decompression; they reject a larger one with 413, as soon as it is known to be larger.
   * `req`, `stream()` and `web()` are bounded by `limit` alone. 0 allows empty bodies only. @default '1mb'
   */
  readonly parseLimit?: ByteSize | undefined
  /**
   * What `json()` and `urlencoded()` do with keys that would poison a prototype, `__proto__` and
   * `constructor.prototype`: 'error' refuses the body with 400, 'remove' drops the keys, 'ignore' leaves them to the
   * handler. @default 'error'
   */
  readonly prototypePoisoning?: PrototypePoisoning | undefined
  /**
   * true: the whole body is read before the next handler runs, and set as `req.rawBody`, a Buffer, as webhook
   * libraries expect it; one larger than `parseLimit` is a 413. @default false
   */
  readonly rawBody?: boolean | undefined
}

interface BodyCacheSettings extends AccessorSettings {
  readonly limit: number
  readonly memory: number
  readonly memoryBudget: number
  readonly diskBudget: number
  readonly directory: string
  readonly rawBody: boolean
}

/** What all requests of one instance share. */
interface Instance {
  readonly settings: BodyCacheSettings
  readonly storage: Storage
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
  const settings = readSettings(options)
  const instance: Instance = { settings, storage: storageFor(settings) }
  return function bodyCacheMiddleware(req, res, next) {
    try {
      requireStream(req, 'bodyCache')
    } catch (error) {
      next(error)
      return
    }
    keepBody(instance, req, res, next)
  }
}

function readSettings(options: BodyCacheOptions): BodyCacheSettings {
  const unlimited = { unlimited: true }
  return readOptions<BodyCacheSettings>('bodyCache', options, {
    limit: byteSize('100mb', unlimited),
    memory: byteSize('1mb', unlimited),
    memoryBudget: byteSize('256mb', unlimited),
    diskBudget: byteSize('10gb', unlimited),
    directory: writableDirectory(os.tmpdir()),
    parseLimit: byteSize('1mb', unlimited),
    prototypePoisoning: oneOf<PrototypePoisoning>(['error', 'remove', 'ignore'], 'error'),
    rawBody: flag(false),
  })
}

function storageFor({ memory, memoryBudget, diskBudget, directory }: BodyCacheSettings): Storage {
  return {
    memory,
    directory,
    memoryBudget: new ByteBudget(memoryBudget),
    diskBudget: new ByteBudget(diskBudget),
  }
}

function keepBody(instance: Instance, req: IncomingMessage, res: ServerResponse, next: NextFunction): void {
  const { settings } = instance
  if (!mayHaveBody(req)) {
    req.bodyCache = new KeptBody(req, undefined, settings)
    provideRawBody(settings, req, next)
  } else if (isCloseDue(req)) setImmediate(keepAnnounced, instance, req, res, next)
  else keepAnnounced(instance, req, res, next)
}

function keepAnnounced(
  { settings, storage }: Instance,
  req: IncomingMessage,
  res: ServerResponse,
  next: NextFunction,
): void {
  const source = bodySourceOf(req, res)
  source.keep(storage)
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
