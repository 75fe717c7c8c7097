import type { IncomingMessage, ServerResponse } from 'node:http'
import { outermost } from '../node/response/methods.js'
import { isHeadWritten } from '../node/response/send-head.js'
import { lengthBeforeHead, sendsBody } from '../node/response/state.js'
import { atOnce } from '../shared/promises.js'
import { isEventStream, isPlainText } from '../shared/response-facts.js'
import { givenHeader, withHeader } from './head-arguments.js'
import { type AutoFlushSettings, hasPassed, settingsFor } from './mount-settings.js'
import { startStreaming } from './streaming.js'

/**
 * Watches for the head of a response, and starts streaming if it is the head of a stream. Every head goes through
 * `res.writeHead`, and only its outermost layer sees the headers as the handler left them: `compression` removes
 * Content-Length in a layer of its own.
 */
export const watchHead: (res: ServerResponse) => void = outermost(
  'writeHead',
  hasPassed,
  (res, writeHead, args) => {
    const settings = settingsFor(res)
    if (settings === undefined || isHeadWritten(res) || !isStreamed(res, args, settings) || isDerived(res)) {
      return writeHead.apply(res, args)
    }
    const contentType = String(givenHeader(res, args, 'content-type'))
    const hasHeartbeat = takesComments(res, args, contentType)
    const result = writeHead.apply(res, withStreamHeaders(res, args, settings, contentType))
    startStreaming(res, settings, hasHeartbeat)
    return result
  },
)

function isStreamed(res: ServerResponse, args: unknown[], { filter }: AutoFlushSettings): boolean {
  const status = Number(args[0])
  const hasBody = status >= 200 && sendsBody(res, status)
  if (!hasBody || isWholeAnswer(res)) return false
  if (filter === undefined) return givenHeader(res, args, 'content-length') === undefined
  return !failedFilters.has(res) && passes(res, filter)
}

/**
 * Tells whether an object inherits from a response. Its head is its own, but what Node holds back for it would be sent
 * with the response.
 */
function isDerived(res: ServerResponse): boolean {
  return hasPassed(Object.getPrototypeOf(res) as ServerResponse)
}

type Filter = NonNullable<AutoFlushSettings['filter']>

const FILTER = { owner: 'autoFlush', key: 'filter' }

/** The responses whose filter has failed. The page for that error has a head too, for which it is not called again. */
const failedFilters = new WeakSet<ServerResponse>()

function passes(res: ServerResponse, filter: Filter): boolean {
  try {
    return atOnce(filter(res.req, res), FILTER)
  } catch (error) {
    failedFilters.add(res)
    throw error
  }
}

/** Tells whether the whole answer is given to `res.end(…)`: Node then knows its length before it creates the head. */
function isWholeAnswer(res: ServerResponse): boolean {
  return lengthBeforeHead(res) !== undefined
}

/**
 * Returns true for an event stream that comments may be added to: the bytes of a stream that the handler, or the
 * upstream of a proxy, has encoded itself are no text, and a Content-Length leaves no room for more.
 */
function takesComments(res: ServerResponse, args: unknown[], contentType: string): boolean {
  const isText = NOT_ENCODED.has(givenHeader(res, args, 'content-encoding'))
  const hasLength = givenHeader(res, args, 'content-length') !== undefined
  return isEventStream(contentType) && isText && !hasLength
}

/** The values of Content-Encoding for plain bytes. 'none' is no coding, but is a usual way to turn compressors off. */
const NOT_ENCODED: ReadonlySet<unknown> = new Set([undefined, 'identity', 'none'])

/**
 * Adds the headers that keep a proxy and a browser from holding a stream back. A browser also holds a stream without a
 * type back, but with `nosniff` it would show its HTML as text.
 */
function withStreamHeaders(
  res: ServerResponse,
  args: unknown[],
  { proxyBuffering }: AutoFlushSettings,
  contentType: string,
): unknown[] {
  const unbuffered = proxyBuffering ? args : withHeader(res, args, 'X-Accel-Buffering', 'no')
  if (!isPlainText(contentType) || isSubresource(res.req)) return unbuffered
  return withHeader(res, unbuffered, 'X-Content-Type-Options', 'nosniff')
}

/** Tells whether a script, a style sheet, an image or the like is asked for: with `nosniff` browsers refuse it as plain text. */
function isSubresource({ headers }: IncomingMessage): boolean {
  return !SHOWN_AS_THEY_COME.has(headers['sec-fetch-dest'] ?? 'empty')
}

/** The values of `Sec-Fetch-Dest` for XMLHttpRequest, fetch and pages. */
const SHOWN_AS_THEY_COME: ReadonlySet<unknown> = new Set([
  'empty',
  'document',
  'iframe',
  'frame',
  'embed',
  'object',
])
