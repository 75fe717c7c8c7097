import type { IncomingMessage } from 'node:http'

import { sluicewayError } from '../../shared/errors.js'
import { isServedAsHttp10 } from '../../shared/request-facts.js'
import { isLength } from '../body-length.js'
import { addConnectionOptions, hopByHopNames } from '../hop-by-hop.js'
import { removeLines } from '../header-list.js'

/** The header lines of a response, with what belongs to the upstream's connection taken out. */
export interface ResponseHeaders {
  /** Name, value, name, value, …: what goes on to the client. */
  readonly lines: string[]
  chunked: boolean
  hasContentLength: boolean
  hasTrailer: boolean
}

/** What other dispatchers than undici's own clients may give for a line: several values, or text. */
type RawPart = Buffer | string | readonly (Buffer | string)[]

type Step = (headers: ResponseHeaders, name: string, value: string) => void

const skip: Step = () => {}

/** What is done with the lines that do not simply go on, by lower-cased name. */
const steps: ReadonlyMap<string, Step> = new Map<string, Step>([
  ...hopByHopNames.map((name) => [name, skip] as const),
  ['te', skip],
  ['transfer-encoding', takeTransferEncoding],
  ['content-length', noteContentLength],
  ['trailer', noteTrailer],
])

/** Walks the raw lines once: strips what is hop-by-hop, notes the framing, keeps the rest as it is. */
export function readResponseHeaders(raw: readonly RawPart[]): ResponseHeaders {
  return readLines(raw, steps)
}

function readLines(raw: readonly RawPart[], how: ReadonlyMap<string, Step>): ResponseHeaders {
  const headers: ResponseHeaders = { lines: [], chunked: false, hasContentLength: false, hasTrailer: false }
  let named: Set<string> | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i] as Buffer | string)
    const values = raw[i + 1] as RawPart
    const lowerCased = name.toLowerCase()
    if (lowerCased === 'connection') named = addConnectionOptions(named, textOfAll(values))
    else takeAll(headers, how.get(lowerCased), name, values)
  }
  if (named !== undefined) removeLines(headers.lines, (name) => named.has(name))
  return headers
}

/** Tells whether a response ends with its head (RFC 9112 §6.3). */
export function hasNoBody(method: string | undefined, status: number): boolean {
  return status === 204 || status === 304 || method === 'HEAD'
}

/**
 * Takes out what contradicts the framing towards the client; Node would refuse the head or send it wrong.
 * `endsWithHead` tells of the upstream's response; hooks may have changed the method it answers, and its `status`.
 */
export function fitToFraming(
  headers: ResponseHeaders,
  req: IncomingMessage,
  status: number,
  endsWithHead: boolean,
): void {
  // RFC 9110 §8.6: a 204 has no Content-Length. That of a 304 is no promise for any other status.
  const isVoid = status === 204 || (endsWithHead && !hasNoBody(req.method, status))
  if (isVoid && headers.hasContentLength) removeLine(headers.lines, 'content-length')
  // Trailers need chunks on both sides.
  const maySendTrailers = headers.chunked && !endsWithHead
  if (headers.hasTrailer && (!maySendTrailers || isServedAsHttp10(req))) removeLine(headers.lines, 'trailer')
}

function removeLine(lines: string[], unwanted: string): void {
  removeLines(lines, (name) => name === unwanted)
}

/** Framing and routing have no place behind a body (RFC 9110 §6.5.1). */
const notInTrailers = ['te', 'transfer-encoding', 'content-length', 'host', 'set-cookie', 'trailer']

const trailerSteps: ReadonlyMap<string, Step> = new Map(
  [...hopByHopNames, ...notInTrailers].map((name) => [name, skip] as const),
)

/** The trailer lines that may go on. */
export function readTrailers(raw: readonly RawPart[]): string[] {
  return readLines(raw, trailerSteps).lines
}

function takeAll(headers: ResponseHeaders, step: Step = keep, name: string, values: RawPart): void {
  if (Array.isArray(values)) for (const value of values) step(headers, name, text(value))
  else step(headers, name, text(values as Buffer | string))
}

function keep(headers: ResponseHeaders, name: string, value: string): void {
  headers.lines.push(name, value)
}

/** undici has decoded `chunked`; a body in any other coding was never asked for and could not be announced. */
function takeTransferEncoding(headers: ResponseHeaders, _name: string, value: string): void {
  if (value.trim().toLowerCase() !== 'chunked') throw badFraming('a transfer coding other than chunked')
  headers.chunked = true
}

function noteContentLength(headers: ResponseHeaders, name: string, value: string): void {
  if (headers.hasContentLength || !isLength(value)) throw badFraming(`Content-Length: ${value}`)
  headers.hasContentLength = true
  headers.lines.push(name, value)
}

function noteTrailer(headers: ResponseHeaders, name: string, value: string): void {
  headers.hasTrailer = true
  headers.lines.push(name, value)
}

function badFraming(reason: string): Error {
  return sluicewayError('ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', {
    cause: new Error(reason),
  })
}

/** Header bytes are latin1: every byte is one character, and goes out as that byte again. */
function text(part: Buffer | string): string {
  return typeof part === 'string' ? part : part.toString('latin1')
}

function textOfAll(part: RawPart): string {
  return Array.isArray(part) ? part.map(text).join(',') : text(part as Buffer | string)
}
