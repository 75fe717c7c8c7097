import type { IncomingMessage, ServerResponse } from 'node:http'
import os from 'node:os'
import { type AccessorSettings, type BodyCache, KeptBody } from './body-cache/accessors.js'
import type { PrototypePoisoning } from './body-cache/prototype-poisoning.js'
import { ByteBudget } from './body/kept/byte-budget.js'
import type { Storage } from './body/kept/store.js'
import { bodySourceOf, requireStream } from './body/source-of.js'
import { shareHiddenClass } from './node/hidden-class.js'
import { isStream, mayHaveBody } from './node/request/facts.js'
import { isDiscarded } from './node/streams/listeners.js'
import { hasEnded, isCloseDue, takeBackEarlyEnd } from './node/streams/state.js'
import { timers } from './node/timers.js'
import type { Middleware, NextFunction } from './shared/middleware.js'
import { requireNext } from './shared/next.js'
import { type ByteSize, byteSize, flag, oneOf, writableDirectory } from './shared/option-checks.js'
import { type NamesElsewhere, type OptionChecks, readOptions, rejectFurther } from './shared/options.js'

export type { BodyCache } from './body-cache/accessors.js'
export type { PrototypePoisoning } from './body-cache/prototype-poisoning.js'
export type { StandardSchema } from './body-cache/standard-schema.js'
export type { ByteSize } from './shared/option-checks.js'

declare module 'node:http' {
  interface IncomingMessage {
    /** Gives the body in a chosen form, as often as needed. Set by `bodyCache()`. */
    bodyCache: BodyCache
  }
}

/** The options of `bodyCache`, all of them optional. */
export interface BodyCacheOptions {
  /**
   * The largest body that is kept, in bytes on the wire; a larger one is refused with 413
   * (ERR_SLUICEWAY_BODY_TOO_LARGE). 0 refuses every body, Infinity refuses none.
   * @default '100mb'
   */
  readonly limit?: ByteSize | undefined
  /**
   * The number of bytes of one body that are kept in memory. The bytes after them go to a temporary file with mode
   * 0600, which is unlinked as soon as it is open. 0 keeps nothing in memory, Infinity everything. @default '1mb'
   */
  readonly memory?: ByteSize | undefined
  /**
   * The number of bytes that all live requests of this instance keep in memory together; beyond it, new bytes go to
   * files. 0 keeps nothing in memory, Infinity sets no bound.
   * @default '256mb'
   */
  readonly memoryBudget?: ByteSize | undefined
  /**
   * The number of bytes that all live requests of this instance keep in files together; beyond it, or if the disk
   * is full, a body is refused with 503 and `Retry-After` (ERR_SLUICEWAY_STORAGE_FULL). 0 allows no files, Infinity as
   * many as the disk holds. @default '10gb'
   */
  readonly diskBudget?: ByteSize | undefined
  /**
   * The directory of the temporary files. It has to exist and be writable: otherwise a body that needs a file fails with
   * 500 (ERR_SLUICEWAY_STORAGE_FAILED). @default os.tmpdir()
   */
  readonly directory?: string | undefined
  /**
   * The largest body that `buffer()`, `text()`, `json()`, `urlencoded()`, `formData()`, `blob()` and `rawBody` load
   * into memory, in bytes after decompression; they reject a larger one with 413 (ERR_SLUICEWAY_BODY_TOO_LARGE), as
   * soon as its size is known. `req`, `stream()` and `web()` are limited by `limit` only. 0 allows only empty bodies,
   * Infinity any up to `limit`.
   * @default '1mb'
   */
  readonly parseLimit?: ByteSize | undefined
  /**
   * Sets how `json()` and `urlencoded()` treat keys that would poison a prototype, `__proto__` and
   * `constructor.prototype`: 'error' refuses the body with 400 (ERR_SLUICEWAY_BODY_MALFORMED), 'remove' drops the
   * keys, 'ignore' passes them to the handler, except `__proto__` in a form, which is dropped. @default 'error'
   */
  readonly prototypePoisoning?: PrototypePoisoning | undefined
  /**
   * True reads the whole body before the next handler runs, and sets it as `req.rawBody`, a Buffer, for webhook
   * libraries that expect it; a body larger than `parseLimit` is a 413. @default false
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

const PARSED =
  'call req.bodyCache.json() or urlencoded() in the handler, or mount the parser behind bodyCache()'

const LIMIT = 'it is "limit" here, for the whole body'
const DIRECTORY = 'it is "directory" here'

/** Options of body-parser, multer, express-fileupload and formidable. */
const namesElsewhere: NamesElsewhere = {
  limits: LIMIT,
  fileSize: LIMIT,
  maxSize: LIMIT,
  maxFileSize: LIMIT,
  bodyLimit: LIMIT,
  dest: DIRECTORY,
  tempFileDir: DIRECTORY,
  uploadDir: DIRECTORY,
  verify: 'check await req.bodyCache.buffer() in a middleware behind it',
  inflate: 'accessors such as json() decompress the body; req and stream() have the bytes of the wire',
  type: 'bodies of every type are kept',
  strict: PARSED,
  reviver: PARSED,
  extended: PARSED,
  parameterLimit: PARSED,
  depth: PARSED,
  defaultCharset: PARSED,
}

/** The state that all requests of one instance share. */
interface Instance {
  readonly settings: BodyCacheSettings
  readonly storage: Storage
}

/**
 * Keeps the body of a request so that it can be read any number of times.
 *
 * `req` itself stays readable: every parser, proxy or stream reads it as if for the first time, byte for byte.
 * `req.bodyCache` gives it as buffer, text, JSON, form or stream. Nothing is read before the first reader asks, and
 * the body is released when the response ends.
 *
 * NOTE: mount it before everything that reads the body. A body that was read before is an error with `code`
 * 'ERR_SLUICEWAY_BODY_ALREADY_READ', unless the host left it as `req.rawBody`.
 *
 * `bodyCache('1mb')` is short for `bodyCache({ limit: '1mb' })`.
 *
 * @example app.use(bodyCache())
 * @throws TypeError or RangeError for a wrong option.
 * @see docs/body-cache.md
 */
export function bodyCache(options: BodyCacheOptions | ByteSize = {}, ...further: undefined[]): Middleware {
  const settings = readSettings(options)
  rejectFurther('bodyCache', further, 'bodyCache({ limit, … })')
  const instance: Instance = { settings, storage: storageFor(settings) }
  return function bodyCacheMiddleware(req, res, next) {
    requireNext('bodyCache', next)
    shareHiddenClass(req, res)
    try {
      requireStream(req, 'bodyCache')
    } catch (error) {
      next(error)
      return
    }
    keepBody(instance, req, res, next)
  }
}

function readSettings(options: BodyCacheOptions | ByteSize): BodyCacheSettings {
  const unlimited = { unlimited: true }
  const isLimit = typeof options === 'string' || typeof options === 'number'
  const given = isLimit ? { limit: options } : options
  const checks: OptionChecks<BodyCacheSettings> = {
    limit: byteSize('100mb', unlimited),
    memory: byteSize('1mb', unlimited),
    memoryBudget: byteSize('256mb', unlimited),
    diskBudget: byteSize('10gb', unlimited),
    directory: writableDirectory(os.tmpdir()),
    parseLimit: byteSize('1mb', unlimited),
    prototypePoisoning: oneOf<PrototypePoisoning>(['error', 'remove', 'ignore'], 'error'),
    rawBody: flag(false),
  }
  return readOptions('bodyCache', given, checks, { elsewhere: namesElsewhere })
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
  if (!mayHaveBody(req) && isUnread(req, res)) keepEmptyBody(instance, req, res, next)
  else if (isCloseDue(req)) {
    // A host has just read the request, and Node is about to close it: this waits until Node has done so.
    timers.setImmediate(keepNow, instance, req, res, next)
  } else keepNow(instance, req, res, next)
}

/**
 * Tells whether no code has read a request without a body. One that Node itself has ended is made unread; after the
 * response it stays as Node leaves it.
 */
function isUnread(req: IncomingMessage, res: ServerResponse): boolean {
  return !hasEnded(req) || res.writableFinished || takeBackEarlyEnd(req)
}

function keepEmptyBody(
  { settings, storage }: Instance,
  req: IncomingMessage,
  res: ServerResponse,
  next: NextFunction,
): void {
  req.bodyCache = new KeptBody(req, undefined, settings)
  if (isStream(req)) {
    // Few of these requests are ever read, so nothing is kept before that. Our listener comes first, as that of a
    // reader may begin to read again.
    req.prependListener('end', () => {
      // Node itself reads what nobody has read by the end of the response.
      if (!res.writableFinished && !isDiscarded(req)) bodySourceOf(req, res).keep(storage)
    })
  }
  provideRawBody(settings, req, next)
}

function keepNow(
  { settings, storage }: Instance,
  req: IncomingMessage,
  res: ServerResponse,
  next: NextFunction,
): void {
  const source = bodySourceOf(req, res)
  req.bodyCache = new KeptBody(req, source, settings)
  source.keep(storage)
  const error = source.addLimit(settings.limit)
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
