import type { IncomingMessage, ServerResponse } from 'node:http'
import { isServedAsHttp10 } from '../../node/request/facts.js'
import { sendsBody, takesBody } from '../../node/response/state.js'
import { sluicewayError } from '../../shared/errors.js'
import { isLength } from '../headers/body-length.js'
import { removeLines } from '../headers/header-list.js'
import { addConnectionOptions, hopByHopNames } from '../headers/hop-by-hop.js'
import { notInResponseTrailers } from '../headers/trailer-names.js'
import type { Target } from '../target.js'

/** The header lines of a response without those that belong to the upstream's connection. */
interface ResponseHeaders {
  /** Name, value, name, value, …: the lines that are passed on. */
  readonly lines: string[]
  chunked: boolean
  hasContentLength: boolean
  hasTrailer: boolean
}

/** The head of an upstream's final response. */
export interface ResponseHead {
  readonly status: number
  readonly reason: string
  readonly headers: ResponseHeaders
  /** True if no body follows, even if the headers announce one. */
  readonly endsWithHead: boolean
  /** The target that sent it. */
  readonly target: Target
}

/** Reads a line. Returns true if it is passed on. */
type Step = (headers: ResponseHeaders, value: string) => boolean

const skip: Step = () => false

/** The treatment of lines that are not simply passed on, by lower-cased name. */
const steps: ReadonlyMap<string, Step> = new Map<string, Step>([
  ...hopByHopNames.map((name) => [name, skip] as const),
  ['te', skip],
  ['transfer-encoding', takeTransferEncoding],
  ['content-length', noteContentLength],
  ['trailer', noteTrailer],
])

/** Walks the lines once, in place: removes hop-by-hop lines, notes the framing, and keeps the rest unchanged. */
export function readResponseHeaders(lines: string[]): ResponseHeaders {
  return readLines(lines, steps)
}

function readLines(lines: string[], how: ReadonlyMap<string, Step>): ResponseHeaders {
  const headers: ResponseHeaders = { lines, chunked: false, hasContentLength: false, hasTrailer: false }
  let named: Set<string> | undefined
  let kept = 0
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    const value = lines[i + 1] as string
    const lowerCased = name.toLowerCase()
    if (lowerCased === 'connection') named = addConnectionOptions(named, value)
    else if (how.get(lowerCased)?.(headers, value) !== false) {
      lines[kept] = name
      lines[kept + 1] = value
      kept += 2
    }
  }
  lines.length = kept
  if (named !== undefined) removeLines(lines, (name) => named.has(name))
  return headers
}

/**
 * Removes lines that contradict the framing towards the client; Node would refuse the head or send it wrong.
 * `endsWithHead` describes the upstream's response; hooks and middlewares may have changed the request's method, and
 * hooks the `status`.
 */
export function fitToFraming(
  headers: ResponseHeaders,
  { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
  status: number,
  endsWithHead: boolean,
): void {
  // RFC 9110 §8.6: a 204 has no Content-Length. A 304 may have one, which holds for no other status.
  const isVoid = status === 204 || (endsWithHead && takesBody(res) && status !== 304)
  if (isVoid) removeLine(headers.lines, 'content-length')
  // Trailers need chunks on both sides.
  if (headers.chunked && !endsWithHead && sendsBody(res, status) && !isServedAsHttp10(req)) return
  if (headers.hasTrailer) removeLine(headers.lines, 'trailer')
  if (res.hasHeader('Trailer')) res.removeHeader('Trailer') // that of a middleware
}

function removeLine(lines: string[], unwanted: string): void {
  removeLines(lines, (name) => name === unwanted)
}

const trailerSteps: ReadonlyMap<string, Step> = new Map(
  notInResponseTrailers.map((name) => [name, skip] as const),
)

/** Returns the trailer lines that may be passed on. */
export function readTrailers(lines: string[]): string[] {
  return readLines(lines, trailerSteps).lines
}

/** In HTTP only spaces and tabs are white space. */
const CHUNKED = /^[ \t]*chunked[ \t]*$/i

/**
 * Reads Transfer-Encoding. The upstream module has decoded `chunked`; other codings were not requested, and cannot be
 * announced.
 */
function takeTransferEncoding(headers: ResponseHeaders, value: string): boolean {
  if (!CHUNKED.test(value)) throw badFraming('a transfer coding other than chunked')
  headers.chunked = true
  return false
}

function noteContentLength(headers: ResponseHeaders, value: string): boolean {
  if (headers.hasContentLength || !isLength(value)) throw badFraming(`Content-Length: ${value}`)
  headers.hasContentLength = true
  return true
}

function noteTrailer(headers: ResponseHeaders): boolean {
  headers.hasTrailer = true
  return true
}

function badFraming(reason: string): Error {
  return sluicewayError('ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', {
    cause: new Error(reason),
  })
}
