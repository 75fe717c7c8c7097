import type { IncomingMessage } from 'node:http'

import { sluicewayError } from '../../shared/errors.js'
import { isLength } from '../body-length.js'
import { addConnectionOptions, hopByHopNames } from '../hop-by-hop.js'
import { hasOpenStream } from '../../node/request-facts.js'
import { removeLines } from '../header-list.js'
import { linesOf } from './changed-lines.js'
import { tellsOfClient } from './forwarded.js'
import { loopHeader } from './loop.js'
import { hasBody, type RequestHead } from './request-head.js'

type Step = (head: RequestHead, name: string, value: string) => void

const skip: Step = () => {}

/** What is done with the lines that do not simply go on, by lower-cased name. */
const steps: ReadonlyMap<string, Step> = new Map<string, Step>([
  ...hopByHopNames.map((name) => [name, skip] as const),
  ['proxy-authorization', skip],
  ['http2-settings', skip],
  ['trailer', noteTrailer],
  // Answered on this side: by Node, or by attach() once the body is read.
  ['expect', skip],
  ['te', keepTrailersOnly],
  ['host', takeHost],
  [':authority', takeAuthority],
  ['content-length', takeContentLength],
  ['transfer-encoding', takeTransferEncoding],
  [loopHeader, noteMarks],
])

/** Walks the lines once: strips what is hop-by-hop, takes the framing apart, keeps the rest as it is. */
export function readRequestHead(req: IncomingMessage): RequestHead {
  const { lines, setHere } = linesOf(req)
  const head: RequestHead = {
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
    // golang/go#50580: no client takes out what this application has put in.
    removeLines(head.lines, (name) => named.has(name) && name !== 'te' && !setHere.has(name))
  }
  head.host = hostOf(head)
  if (head.contentLength === undefined && hasOpenStream(req)) head.chunked = true
  // RFC 9110 §9.3.8: a TRACE has no content, so what follows it may be a request to the upstream.
  if (req.method === 'TRACE' && hasBody(head)) throw refused('a TRACE with a body')
  return head
}

/** Gives the names that `Connection` lines nominate, if any. */
function walk(head: RequestHead, lines: readonly string[]): Set<string> | undefined {
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

function keepLine(head: RequestHead, name: string, value: string): void {
  const initial = name.charCodeAt(0)
  // ':' begins the pseudo-headers of HTTP/2.
  if (initial === 0x3a) return
  if (!head.forwarded && tellsOfClient(name)) head.forwarded = true
  head.lines.push(name, value)
}

/** Response trailers are passed on, so the client may ask for them; it must not negotiate codings with us. */
function keepTrailersOnly(head: RequestHead, name: string, value: string): void {
  if (/(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(value)) head.lines.push(name, 'trailers')
}

/** A host and a port (RFC 3986 §3.2), which may both be absent. */
const AUTHORITY = /^(?:\[[\w.:~!$&'()*+,;=%-]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i

function takeHost(head: RequestHead, _name: string, value: string): void {
  // RFC 9112 §3.2: more than one Host line is an error, whichever of them the upstream would believe.
  if (head.host !== undefined) throw refused('more than one Host header')
  if (!AUTHORITY.test(value)) throw refused('its Host header names no host')
  head.host = value
}

function takeAuthority(head: RequestHead, _name: string, value: string): void {
  if (!AUTHORITY.test(value)) throw refused('its :authority names no host')
  head.authority = value
}

/** Over HTTP/2 `:authority` is the host, and a Host line may only repeat it (RFC 9113 §8.3.1), or is the application's. */
function hostOf({ host, authority, setHere }: RequestHead): string | undefined {
  if (authority === undefined || host === authority) return host
  if (host === undefined || setHere.has(':authority')) return authority
  if (!setHere.has('host')) throw refused('its Host header differs from its :authority')
  return host
}

/**
 * Node's parser has checked it, but not every host has one. Past 2^53 a length becomes another one as a number,
 * and no body is that long.
 */
function takeContentLength(head: RequestHead, _name: string, value: string): void {
  if (head.contentLength !== undefined) throw refused('more than one Content-Length header')
  if (!isLength(value)) throw refused('its Content-Length is no length')
  head.contentLength = value
}

/** Node has decoded `chunked`; any other coding is still in the bytes, and none is announced to the upstream. */
function takeTransferEncoding(head: RequestHead, _name: string, value: string): void {
  if (value.toLowerCase() !== 'chunked') throw refused('a transfer coding other than chunked')
  head.chunked = true
}

function noteMarks(head: RequestHead, name: string, value: string): void {
  head.marks += `${value},`
  head.lines.push(name, value)
}

function noteTrailer(head: RequestHead, name: string, value: string): void {
  head.hasTrailer = true
  head.lines.push(name, value)
}

function refused(reason: string): Error {
  return sluicewayError('ERR_SLUICEWAY_PROXY_BAD_REQUEST', {
    message: `the request cannot be passed on: ${reason}`,
  })
}
