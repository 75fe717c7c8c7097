import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

import { pendingUpgrade } from '../../node/pending-upgrade.js'
import { hasConnection } from '../../node/request-facts.js'
import type { OutgoingRequest } from '../hooks.js'
import type { ProxySettings } from '../settings.js'
import type { Target } from '../target.js'
import { unsendableRequest } from '../upstream-errors.js'
import type { ClientConnection, UpstreamRequest } from '../upstream/upstream.js'
import { takeBufferedBody } from './buffered-body.js'
import { hasBody, type RequestHead } from './request-head.js'
import { requestTrailers } from './trailers.js'

/** A request before it is sent: the client's, and what hooks have made of it. */
export interface Draft {
  readonly req: IncomingMessage
  readonly settings: ProxySettings
  readonly target: Target
  readonly head: RequestHead
  readonly outgoing: OutgoingRequest
}

/** A request that nobody changes any more, in the upstream's terms, and what the exchange has to know of it. */
export class Outgoing implements UpstreamRequest {
  readonly target: Target
  readonly origin: string
  readonly method: string
  readonly path: string
  readonly lines: readonly string[]
  readonly body: Readable | Buffer | string | null
  readonly contentLength: string | undefined
  readonly upgrade: string | undefined
  readonly headersTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly maxQueue: number
  readonly clientConnection: ClientConnection | undefined
  readonly trailers: (() => readonly string[]) | undefined
  /** Whether the client has a body that was not taken as one piece. */
  readonly leavesBody: boolean

  constructor(draft: Draft) {
    const { req, settings, target, head, outgoing } = draft
    const isOwn = outgoing.body === req
    const buffered = isOwn ? takeBufferedBody(req, head) : undefined
    this.leavesBody = hasBody(head) && buffered === undefined
    this.target = target
    this.origin = target.origin
    this.method = outgoing.method
    this.path = outgoing.path
    this.body = buffered ?? outgoing.body
    if (settings.preserveHost) keepHost(outgoing, head)
    this.contentLength = lengthOf(draft, isOwn)
    this.lines = outgoing.headers.lines
    this.upgrade = acceptedUpgrade(req, settings)
    this.headersTimeoutMs = settings.headersTimeoutMs
    this.idleTimeoutMs = settings.idleTimeoutMs
    this.maxQueue = settings.maxQueue
    // What a host has put there tells of no end, and may belong to any client.
    this.clientConnection = hasConnection(req) ? req.socket : undefined
    const hasTrailers = this.body === req && this.contentLength === undefined
    this.trailers = hasTrailers ? () => requestTrailers(req, head.setHere) : undefined
    if (head.hasTrailer && !hasTrailers) outgoing.headers.delete('trailer')
  }
}

/** Hears of the errors of a hook's body for good: it may fail before any of it is asked for, and after all is over. */
export function onBodyError(
  { body }: UpstreamRequest,
  req: IncomingMessage,
  listener: (error: Error) => void,
): void {
  if (body !== req && body instanceof Readable) body.on('error', listener)
}

/** Lets go of what is left of the body of a hook. That of the client stays with its request. */
export function releaseBody({ body }: UpstreamRequest, req: IncomingMessage): void {
  if (body !== req && body instanceof Readable && !body.destroyed) body.destroy()
}

/** Unless a hook has named another. */
function keepHost({ headers }: OutgoingRequest, { host }: RequestHead): void {
  if (host !== undefined && !headers.has('host')) headers.append('host', host)
}

/** The client's length for its own body, or for none; without one it goes in chunks; for that of a hook, what the hook says. */
function lengthOf({ settings, head, outgoing }: Draft, isOwn: boolean): string | undefined {
  const isVoid = outgoing.body === null
  const own = (isOwn || (isVoid && !hasBody(head))) && !head.chunked ? head.contentLength : undefined
  if (settings.onRequest === undefined) return own
  const set = takeLengths(outgoing)
  if (set.length > (own === undefined ? 1 : 0)) throw unsendableRequest(`Content-Length: ${set.join(', ')}`)
  return isVoid ? own : (own ?? set[0])
}

/** Takes the lengths out that a hook has set. */
function takeLengths({ headers }: OutgoingRequest): string[] {
  const set = headers.getAll('content-length')
  if (set.length > 0) headers.delete('content-length')
  return set
}

/** The token under which the connection is to be tunnelled, if any. */
function acceptedUpgrade(req: IncomingMessage, { upgrade }: ProxySettings): string | undefined {
  if (pendingUpgrade(req) === undefined) return undefined
  const asked = (req.headers.upgrade ?? '').split(',').map((token) => token.trim())
  return asked.find((token) => upgrade.has(token.toLowerCase()))
}
