import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import { lengthBeforeHead, sendsBody } from '../node/connection.js'
import { outermost } from '../node/response-methods.js'
import { atOnce } from '../shared/promises.js'
import { isEventStream } from '../shared/response-facts.js'
import { type AutoFlushSettings, hasPassed, settingsFor } from './mount-settings.js'
import { startStreaming } from './streaming.js'
import { isHeadWritten } from '../node/send-head.js'

type HeaderArgument = Readonly<Record<string, OutgoingHttpHeader>> | HeaderList
/** Names and values in turn, or pairs of both. */
type HeaderList = readonly unknown[]

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
    if (settings === undefined || isHeadWritten(res) || !isStreamed(res, args, settings)) {
      return writeHead.apply(res, args)
    }
    const contentType = String(headerOf(res, args, 'content-type'))
    const hasHeartbeat = takesComments(res, args, contentType)
    const result = writeHead.apply(res, withStreamHeaders(res, args, settings, contentType))
    startStreaming(res, settings, hasHeartbeat)
    return result
  },
)

function isStreamed(res: ServerResponse, args: unknown[], { filter }: AutoFlushSettings): boolean {
  const status = Number(args[0])
  if (status < 200 || !sendsBody(res, status) || isWholeAnswer(res)) return false
  if (filter === undefined) return headerOf(res, args, 'content-length') === undefined
  return atOnce(filter(res.req, res), FILTER)
}

const FILTER = { owner: 'autoFlush', key: 'filter' }

/** Tells whether the whole answer is given to `res.end(…)`: Node then knows its length before it creates the head. */
function isWholeAnswer(res: ServerResponse): boolean {
  return lengthBeforeHead(res) !== undefined
}

/**
 * Returns true for an event stream that comments may be added to: the bytes of a stream that the handler, or the
 * upstream of a proxy, has encoded itself are no text, and a Content-Length leaves no room for more.
 */
function takesComments(res: ServerResponse, args: unknown[], contentType: string): boolean {
  const isText = NOT_ENCODED.has(headerOf(res, args, 'content-encoding'))
  const hasLength = headerOf(res, args, 'content-length') !== undefined
  return isEventStream(contentType) && isText && !hasLength
}

/** The values of Content-Encoding for plain bytes. 'none' is no coding, but is a usual way to turn compressors off. */
const NOT_ENCODED: ReadonlySet<unknown> = new Set([undefined, 'identity', 'none'])

/** Reads a header from the arguments of `writeHead`, or else from the response. */
function headerOf(res: ServerResponse, args: unknown[], name: keyof IncomingHttpHeaders): unknown {
  const given = args[headerIndex(args)] as HeaderArgument | undefined
  return (given && valueIn(given, String(name))) ?? res.getHeader(String(name))
}

/** Returns the index of the headers: `writeHead(status, headers)` or `writeHead(status, reason, headers)`. */
function headerIndex(args: unknown[]): number {
  return typeof args[1] === 'object' && args[1] !== null ? 1 : 2
}

function isList(headers: HeaderArgument): headers is HeaderList {
  return Array.isArray(headers)
}

function valueIn(headers: HeaderArgument, name: string): unknown {
  return pairsOf(headers).find(([key]) => String(key).toLowerCase() === name)?.[1]
}

function pairsOf(headers: HeaderArgument): (readonly [unknown, unknown])[] {
  if (!isList(headers)) return Object.entries(headers)
  if (Array.isArray(headers[0])) return headers as [unknown, unknown][]
  return headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]] as const] : []))
}

/** Adds the headers that keep a proxy and a browser from holding a stream back. */
function withStreamHeaders(
  res: ServerResponse,
  args: unknown[],
  { proxyBuffering }: AutoFlushSettings,
  contentType: string,
): unknown[] {
  const unbuffered = proxyBuffering ? args : withHeader(res, args, 'X-Accel-Buffering', 'no')
  if (!PLAIN_TEXT.test(contentType) || isSubresource(res.req)) return unbuffered
  return withHeader(res, unbuffered, 'X-Content-Type-Options', 'nosniff')
}

/**
 * Browsers hold this type back until they have enough of it to tell text from binary data. They also hold a response
 * without a type back, but with `nosniff` they would show its HTML as text.
 */
const PLAIN_TEXT = /^\s*text\/plain\s*(?:;|$)/i

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

/**
 * Adds a header to the headers of the caller, unless the response has it. `setHeader` before a `writeHead` with a list
 * would make Node drop all but the last line of a repeated header, such as Set-Cookie.
 */
function withHeader(res: ServerResponse, args: unknown[], name: string, value: string): unknown[] {
  if (headerOf(res, args, name.toLowerCase()) !== undefined) return args
  const index = headerIndex(args)
  const given = args[index] as HeaderArgument | undefined
  if (!given) {
    res.setHeader(name, value)
    return args
  }
  return args.with(index, including(given, name, value))
}

function including(headers: HeaderArgument, name: string, value: string): HeaderArgument {
  if (!isList(headers)) return { ...headers, [name]: value }
  return Array.isArray(headers[0]) ? [...headers, [name, value]] : [...headers, name, value]
}
