import type { IncomingMessage } from 'node:http'
import { hasOpenStream } from '../../node/request/facts.js'
import { isLength } from '../headers/body-length.js'
import { removeLines } from '../headers/header-list.js'
import { addConnectionOptions, hopByHopNames } from '../headers/hop-by-hop.js'
import { refusedRequest } from '../upstream-errors.js'
import { linesOf } from './changed-lines.js'
import { hasBody, type ClientHead } from './client-head.js'
import { describesClient } from './forwarded.js'
import { loopHeader } from './loop.js'

type Step = (head: ClientHead, name: string, value: string) => void

const skip: Step = () => {}

/** The treatment of lines that are not simply passed on, by lower-cased name. */
const steps: ReadonlyMap<string, Step> = new Map<string, Step>([
  ...hopByHopNames.map((name) => [name, skip] as const),
  ['proxy-authorization', skip],
  ['trailer', noteTrailer],
  // This server answers it: Node, or attach() once the body is read.
  ['expect', skip],
  ['te', keepTrailersOnly],
  ['host', takeHost],
  [':authority', takeAuthority],
  ['content-length', takeContentLength],
  ['transfer-encoding', takeTransferEncoding],
  [loopHeader, noteMarks],
])

/** Walks the lines once: removes hop-by-hop lines, reads the framing, and keeps the rest unchanged. */
export function readClientHead(req: IncomingMessage): ClientHead {
  const { lines, setHere } = linesOf(req)
  const head: ClientHead = {
    lines: [],
    setHere,
    host: undefined,
    authority: undefined,
    contentLength: undefined,
    chunked: false,
    forwarded: false,
    hasTrailer: false,
    marks: '',
  }
  const named = walk(head, lines)
  if (named !== undefined) {
    // A client cannot remove lines that this application has set (golang/go#50580).
    removeLines(head.lines, (name) => named.has(name) && name !== 'te' && !setHere.has(name))
  }
  head.host = hostOf(head)
  if (head.contentLength === undefined && hasOpenStream(req)) head.chunked = true
  // RFC 9110 §9.3.8: a TRACE has no content, so the upstream could read its body as another request.
  if (hasBody(head) && req.method?.toUpperCase() === 'TRACE') throw refusedRequest('a TRACE with a body')
  return head
}

/** Walks the lines, and returns the names on `Connection` lines, if any. */
function walk(head: ClientHead, lines: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    const value = lines[i + 1] as string
    const lowerCased = name.toLowerCase()
    const step = steps.get(lowerCased)
    if (step !== undefined) step(head, name, value)
    else if (lowerCased === 'connection') named = addConnectionOptions(named, value)
    else keepLine(head, name, value)
  }
  return named
}

function keepLine(head: ClientHead, name: string, value: string): void {
  // ':' begins the pseudo-headers of HTTP/2.
  if (name.charCodeAt(0) === 0x3a) return
  if (!head.forwarded && describesClient(name)) head.forwarded = true
  head.lines.push(name, value)
}

/**
 * Keeps only `trailers` of a TE line: the client may ask for trailers, as they are passed on, but not for codings.
 */
function keepTrailersOnly(head: ClientHead, name: string, value: string): void {
  if (/(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(value)) head.lines.push(name, 'trailers')
}

/** Matches a host and a port (RFC 3986 §3.2), both optional. */
const AUTHORITY = /^(?:\[[\w.:~!$&'()*+,;=%-]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i

function takeHost(head: ClientHead, _name: string, value: string): void {
  // RFC 9112 §3.2: more than one Host line is an error, as another server may believe another line.
  if (head.host !== undefined) throw refusedRequest('more than one Host header')
  if (!AUTHORITY.test(value)) throw refusedRequest('its Host header is not a host')
  head.host = value
}

function takeAuthority(head: ClientHead, _name: string, value: string): void {
  if (!AUTHORITY.test(value)) throw refusedRequest('its :authority is not a host')
  head.authority = value
}

/**
 * Returns the host. Over HTTP/2 it is `:authority`; a Host line may repeat it (RFC 9113 §8.3.1), or be the
 * application's.
 */
function hostOf({ host, authority, setHere }: ClientHead): string | undefined {
  if (authority === undefined || host?.toLowerCase() === authority.toLowerCase()) return host
  if (host === undefined || setHere.has(':authority')) return authority
  if (!setHere.has('host')) throw refusedRequest('its Host header differs from its :authority')
  return host
}

/**
 * Reads Content-Length. Node's parser has checked it, but not every host has a parser. Past 2^53 a number would
 * differ from the length, and no body is that long.
 */
function takeContentLength(head: ClientHead, _name: string, value: string): void {
  if (head.contentLength !== undefined) throw refusedRequest('more than one Content-Length header')
  if (!isLength(value)) throw refusedRequest('its Content-Length is not a length')
  head.contentLength = value
}

/**
 * Reads Transfer-Encoding. Node has decoded `chunked`; other codings are still in the bytes, and cannot be announced.
 */
function takeTransferEncoding(head: ClientHead, _name: string, value: string): void {
  if (value.toLowerCase() !== 'chunked') throw refusedRequest('a transfer coding other than chunked')
  head.chunked = true
}

function noteMarks(head: ClientHead, name: string, value: string): void {
  head.marks += `${value},`
  head.lines.push(name, value)
}

function noteTrailer(head: ClientHead, name: string, value: string): void {
  head.hasTrailer = true
  head.lines.push(name, value)
}
