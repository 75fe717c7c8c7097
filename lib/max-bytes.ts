import type { IncomingMessage, ServerResponse } from 'node:http'
import type { LingerBounds } from './body/refused/rest.js'
import { bodySourceOf, requireStream } from './body/source-of.js'
import { type MinRateSettings, requireRate } from './max-bytes/min-rate.js'
import { shareHiddenClass } from './node/hidden-class.js'
import { mayHaveBody } from './node/request/facts.js'
import { isCloseDue } from './node/streams/state.js'
import { timers } from './node/timers.js'
import type { Middleware, NextFunction } from './shared/middleware.js'
import { requireNext } from './shared/next.js'
import { type ByteSize, byteSize, milliseconds, optionGroup, parseByteSize } from './shared/option-checks.js'
import { type NamesElsewhere, type OptionCheck, readOptions, rejectFurther } from './shared/options.js'
import { atOnce } from './shared/promises.js'
import { notAnError } from './shared/thrown.js'

export type { ByteSize } from './shared/option-checks.js'

/**
 * Decides the limit of one request. An exception, or a result that is not a size, goes to `next` as an error. The
 * parameter may be declared as a request of Express, as in `(req: Request) => req.path`: a type that is taken from a
 * method allows that under strict settings.
 */
export type MaxBytesLimit = { limit(req: IncomingMessage): ByteSize }['limit']

/** The options of `maxBytes`. Only `limit` is required. */
export interface MaxBytesOptions {
  /**
   * The largest request body that is accepted, in bytes on the wire (before decompression): a whole number, a size
   * such as '100kb', or a function that decides per request. A larger body is refused with 413
   * (ERR_SLUICEWAY_BODY_TOO_LARGE). 0 refuses every body; Infinity has to be given for no limit.
   */
  readonly limit: ByteSize | MaxBytesLimit
  /**
   * The time, in milliseconds, for which the rest of a refused upload is read and discarded after the answer, so that
   * the client can read the answer before the socket is destroyed. An application that gets the error and does not
   * answer has the same time before maxBytes answers instead. 0 leaves no time for either.
   * @default 2000
   */
  readonly lingerMs?: number | undefined
  /** The number of bytes of that rest that are read at most, or a size. 0 reads none of it. @default '16mb' */
  readonly lingerBytes?: ByteSize | undefined
  /**
   * The minimum rate at which a client has to send a body while a reader waits for it; a slower body is refused with
   * 408 (ERR_SLUICEWAY_BODY_TOO_SLOW). undefined sets no minimum; `{ bytesPerSecond: 240, graceMs: 5000 }` is
   * recommended.
   * @default off
   */
  readonly minRate?: MinRate | undefined
}

/** The rate that a client has to keep while a reader waits for its body. */
export interface MinRate {
  /** The number of bytes that each second of waiting has to bring: a whole number, or a size. At least 1. */
  readonly bytesPerSecond: ByteSize
  /**
   * The time, in milliseconds, by which a client may fall behind that rate; this is also the longest silence it may
   * keep. At least 1.
   * @default 5000
   */
  readonly graceMs?: number | undefined
}

interface MaxBytesSettings extends LingerBounds {
  readonly limit: number | MaxBytesLimit
  readonly minRate: MinRateSettings | undefined
}

const LIMIT = { owner: 'maxBytes', key: 'limit' }
const RESULT = { ...LIMIT, isResult: true }

/**
 * Limits the size of request bodies: the client of a larger one reliably gets a 413, and its connection is closed.
 *
 * A body announced as too large goes to `next(error)` before any of it is read. Any other body is counted, and the
 * first byte past the limit becomes an error for its readers: `status` 413, `type` 'entity.too.large', `code`
 * 'ERR_SLUICEWAY_BODY_TOO_LARGE', with `limit` and `received`. The smallest of several limits counts, in any order.
 *
 * @example app.use(maxBytes('1mb'))
 * @throws TypeError or RangeError for a wrong option.
 * @see docs/max-bytes.md, RFC 9110 §15.5.14
 */
export function maxBytes(
  options: MaxBytesOptions | ByteSize | MaxBytesLimit,
  ...further: undefined[]
): Middleware {
  const settings = readSettings(options)
  rejectFurther('maxBytes', further, 'maxBytes({ limit, … })')
  return function maxBytesMiddleware(req, res, next) {
    requireNext('maxBytes', next)
    shareHiddenClass(req, res)
    limitBody(settings, req, res, next)
  }
}

function readSettings(options: MaxBytesOptions | ByteSize | MaxBytesLimit): MaxBytesSettings {
  return readOptions<MaxBytesSettings>(
    'maxBytes',
    typeof options === 'object' && options !== null ? options : { limit: options },
    {
      limit: sizeOrFunction,
      lingerMs: milliseconds(2000),
      lingerBytes: byteSize('16mb'),
      minRate: optionGroup<MinRateSettings>({
        bytesPerSecond: byteSize(undefined, { min: 1 }),
        graceMs: milliseconds(5000, 1),
      }),
    },
    { elsewhere: namesElsewhere },
  )
}

const LIMIT_OF_BODY = 'it is "limit" here, for the whole body'
const ANSWER = 'the 413 goes to the error handlers of Express, which may answer in their own way'

/** Options of body-parser, multer, formidable, fastify and similar packages. */
const namesElsewhere: NamesElsewhere = {
  inflate: 'bytes are counted as they come; parseLimit of bodyCache limits the decompressed ones',
  type: 'bodies of every type are counted; mount it on the routes that it is for',
  verify: 'mount bodyCache() and check await req.bodyCache.buffer() in a middleware behind it',
  limits: LIMIT_OF_BODY,
  fileSize: LIMIT_OF_BODY,
  max: LIMIT_OF_BODY,
  maxSize: LIMIT_OF_BODY,
  maxFileSize: LIMIT_OF_BODY,
  bodyLimit: LIMIT_OF_BODY,
  message: ANSWER,
  statusCode: ANSWER,
  onLimit: ANSWER,
}

const sizeOrFunction: OptionCheck<number | MaxBytesLimit> = (given, option) =>
  typeof given === 'function' ? (given as MaxBytesLimit) : parseByteSize(given, option, true)

function limitBody(
  settings: MaxBytesSettings,
  req: IncomingMessage,
  res: ServerResponse,
  next: NextFunction,
): void {
  if (!mayHaveBody(req)) {
    next()
    return
  }
  let limit: number
  try {
    requireStream(req, 'maxBytes')
    limit = limitOf(settings, req)
  } catch (thrown) {
    // Express takes `undefined`, 'route' and others for no error, and would go on without a limit.
    next(Object(thrown) === thrown ? thrown : notAnError('maxBytes', thrown))
    return
  }
  // A host has just read the request, and Node is about to close it: this waits until Node has done so.
  if (isCloseDue(req)) timers.setImmediate(addLimit, settings, limit, req, res, next)
  else addLimit(settings, limit, req, res, next)
}

function addLimit(
  settings: MaxBytesSettings,
  limit: number,
  req: IncomingMessage,
  res: ServerResponse,
  next: NextFunction,
): void {
  const source = bodySourceOf(req, res)
  const error = source.addLimit(limit, settings)
  if (settings.minRate !== undefined) requireRate(settings.minRate, source)
  next(error)
}

function limitOf({ limit }: MaxBytesSettings, req: IncomingMessage): number {
  return typeof limit === 'function' ? parseByteSize(atOnce(limit(req), LIMIT), RESULT, true) : limit
}
