import type { IncomingMessage, ServerResponse } from 'node:http'
import type { LingerBounds } from './body/refused/rest.js'
import { bodySourceOf, requireStream } from './body/tap.js'
import { type MinRateSettings, requireRate } from './max-bytes/min-rate.js'
import type { Middleware, NextFunction } from './shared/middleware.js'
import {
  type ByteSize,
  byteSize,
  milliseconds,
  optionGroup,
  type OptionCheck,
  parseByteSize,
  readOptions,
} from './shared/options.js'
import { mayHaveBody } from './node/request-facts.js'
import { isCloseDue } from './node/stream-state.js'

export type { ByteSize } from './shared/options.js'

/** Decides the limit of one request. What it throws, or a result that is no size, goes to `next` as an error. */
export type MaxBytesLimit = (req: IncomingMessage) => ByteSize

export interface MaxBytesOptions {
  /**
   * Largest request body let through, in bytes on the wire (before any decompression): a whole number, a size such as
   * '100kb', or a function that decides per request. 0 refuses every body; no limit must be written out as Infinity.
   */
  readonly limit: ByteSize | MaxBytesLimit
  /**
   * How long, in milliseconds, the rest of a refused upload is read and thrown away after the answer, so that the
   * client gets to read it, before the socket is destroyed. An application that has heard of the error and not
   * answered is given the same time, before maxBytes answers in its place. 0 leaves no time for either.
   * @default 2000
   */
  readonly lingerMs?: number | undefined
  /** How much of that rest is read at most: bytes, or a size. 0 reads none of it. @default '16mb' */
  readonly lingerBytes?: ByteSize | undefined
  /**
   * How slowly a client may send a body while a reader waits for it; a slower one is refused with 408. Recommended:
   * `{ bytesPerSecond: 240, graceMs: 5000 }`. @default off
   */
  readonly minRate?: MinRate | undefined
}

/** The pace that a client has to keep while a reader waits for its body. */
export interface MinRate {
  /** How many bytes each second of waiting has to bring: a whole number, or a size. At least 1. */
  readonly bytesPerSecond: ByteSize
  /**
   * How far a client may fall behind that pace, in milliseconds: so long it may also send nothing, at the start or later.
   * At least 1.
   * @default 5000
   */
  readonly graceMs?: number | undefined
}

interface MaxBytesSettings extends LingerBounds {
  readonly limit: number | MaxBytesLimit
  readonly minRate: MinRateSettings | undefined
}

const LIMIT = { owner: 'maxBytes', key: 'limit' }

/**
 * Limits the size of request bodies: a larger one is answered with a 413 that really arrives, and its connection is
 * closed.
 *
 * A body announced as too large goes to `next(error)` before a byte of it is read. Any other is counted, and the
 * first byte past the limit becomes an error for whoever reads: `status` 413, `type` 'entity.too.large', `code`
 * 'ERR_SLUICEWAY_BODY_TOO_LARGE', with `limit` and `received`. The smallest of several limits counts, in any order.
 *
 * @example app.use(maxBytes('1mb'))
 * @throws TypeError or RangeError for a wrong option.
 * @see docs/max-bytes.md
 */
export function maxBytes(options: MaxBytesOptions | ByteSize | MaxBytesLimit): Middleware {
  const settings = readSettings(options)
  return function maxBytesMiddleware(req, res, next) {
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
        bytesPerSecond: byteSize(undefined, { least: 1 }),
        graceMs: milliseconds(5000, 1),
      }),
    },
  )
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
  } catch (error) {
    next(error)
    return
  }
  if (isCloseDue(req)) setImmediate(limitAnnounced, settings, limit, req, res, next)
  else limitAnnounced(settings, limit, req, res, next)
}

function limitAnnounced(
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
  return typeof limit === 'function' ? parseByteSize(limit(req), LIMIT, true) : limit
}
