import type { ServerResponse } from 'node:http'
import { isHttp2, takesChunks } from '../node/request/facts.js'
import { addTrailers, isHeadWritten, sendHeadEarly } from '../node/response/send-head.js'
import { excludesBody, isPlainText } from '../shared/response-facts.js'
import type { ChildExit } from './running-child.js'

interface HeadSettings {
  readonly exit: 'event' | 'trailer' | 'none'
  readonly events: boolean
}

const TRAILERS = ['Exit-Code', 'Exit-Signal']

/** Sends the head of a response that has a body. If it is not written yet, it gets the headers that it lacks. */
export function sendPipedHead(res: ServerResponse, settings: HeadSettings): void {
  if (isHeadWritten(res)) sendHeadEarly(res)
  else sendNewHead(res, settings)
}

/**
 * Gives the response to HEAD, which has no body, the headers that GET would get, but for trailers.
 * @see RFC 9110 §9.3.2
 */
export function describeMissingBody(res: ServerResponse, { events }: HeadSettings): void {
  if (isHeadWritten(res) || excludesBody(res.statusCode)) return
  for (const [name, value] of Object.entries(headersFor(res, { exit: 'none', events }))) {
    res.setHeader(name, value)
  }
}

function sendNewHead(res: ServerResponse, settings: HeadSettings): void {
  const added = Object.entries(headersFor(res, settings)).map(
    ([name, value]) => [name, value, res.getHeader(name)] as const,
  )
  for (const [name, value] of added) res.setHeader(name, value)
  try {
    sendHeadEarly(res)
  } catch (error) {
    // The application may still answer with a head of its own.
    if (!isHeadWritten(res)) for (const [name, , before] of added) restoreHeader(res, name, before)
    throw error
  }
}

function headersFor(res: ServerResponse, { exit, events }: HeadSettings): Record<string, string> {
  const type = String(res.getHeader('content-type') ?? 'text/plain; charset=utf-8')
  const defaults: [name: string, value: string][] = [['Content-Type', type]]
  if (isPlainText(type)) defaults.push(['X-Content-Type-Options', 'nosniff'])
  if (events) defaults.push(['Cache-Control', 'no-cache'])
  const headers = Object.fromEntries(defaults.filter(([name]) => !res.hasHeader(name)))
  if (exit === 'trailer' && takesTrailers(res))
    headers['Trailer'] = [res.getHeader('trailer') ?? [], TRAILERS].flat().join(', ')
  return headers
}

/** Tells whether a response may announce trailers. Over HTTP/1, Node throws unless its body comes in chunks. */
function takesTrailers(res: ServerResponse): boolean {
  return isHttp2(res) || (takesChunks(res.req) && !res.hasHeader('content-length'))
}

function restoreHeader(
  res: ServerResponse,
  name: string,
  before: ReturnType<ServerResponse['getHeader']>,
): void {
  res.removeHeader(name)
  if (before !== undefined) res.setHeader(name, before)
}

/** Adds the trailer for the exit of a child, in place of that of an earlier child. */
export function addExitTrailer(res: ServerResponse, exit: ChildExit): void {
  const replaced = TRAILERS.map((name) => name.toLowerCase())
  addTrailers(res, trailersOf(exit), replaced)
}

/** Returns no trailer for an exit that is not known. */
function trailersOf({ code, signal }: ChildExit): Record<string, string> {
  if (code !== null) return { 'Exit-Code': String(code) }
  return signal === null ? {} : { 'Exit-Signal': signal }
}
