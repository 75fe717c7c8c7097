import type { IncomingHttpHeaders, OutgoingHttpHeader, ServerResponse } from 'node:http'
import type { AutoFlushSettings } from './mount-settings.js'
import { lengthBeforeHead } from '../node/connection.js'
import { outermost } from '../node/response-methods.js'
import { hasPassed, settingsFor } from './mount-settings.js'
import { startStreaming } from './streaming.js'

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
    if (settings === undefined || res.headersSent || !isStreamed(res, args, settings)) {
      return writeHead.apply(res, args)
    }
    const contentType = headerOf(res, args, 'content-type')
    const result = writeHead.apply(res, settings.proxyBuffering ? args : withoutProxyBuffering(res, args))
    startStreaming(res, settings, String(contentType))
    return result
  },
)

function isStreamed(res: ServerResponse, args: unknown[], { filter }: AutoFlushSettings): boolean {
  if (!hasBody(res, Number(args[0])) || isWholeAnswer(res)) return false
  return filter === undefined ? headerOf(res, args, 'content-length') === undefined : filter(res.req, res)
}

function hasBody(res: ServerResponse, status: number): boolean {
  return status >= 200 && status !== 204 && status !== 304 && res.req.method !== 'HEAD'
}

/** True within `res.end(…)` without an earlier write: Node then knows the length before it creates the head. */
function isWholeAnswer(res: ServerResponse): boolean {
  return lengthBeforeHead(res) !== undefined
}

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

/**
 * Adds `X-Accel-Buffering: no` to the headers of the caller. `setHeader` before a `writeHead` with a list would make
 * Node drop all but the last line of a repeated header, such as Set-Cookie.
 */
function withoutProxyBuffering(res: ServerResponse, args: unknown[]): unknown[] {
  if (headerOf(res, args, 'x-accel-buffering') !== undefined) return args
  const index = headerIndex(args)
  const given = args[index] as HeaderArgument | undefined
  if (!given) {
    res.setHeader('X-Accel-Buffering', 'no')
    return args
  }
  return args.with(index, withHeader(given, 'X-Accel-Buffering', 'no'))
}

function withHeader(headers: HeaderArgument, name: string, value: string): HeaderArgument {
  if (!isList(headers)) return { ...headers, [name]: value }
  return Array.isArray(headers[0]) ? [...headers, [name, value]] : [...headers, name, value]
}
