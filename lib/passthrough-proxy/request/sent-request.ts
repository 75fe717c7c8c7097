import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { pendingUpgrade } from '../../node/connection/pending-upgrade.js'
import { hasConnection } from '../../node/request/facts.js'
import type { OutgoingRequest } from '../hooks.js'
import type { ProxySettings } from '../settings.js'
import type { Target } from '../target.js'
import { unsendableRequest } from '../upstream-errors.js'
import type { ClientConnection, UpstreamRequest } from '../upstream/upstream.js'
import { giveBackBody, hasBufferedBody, takeBody, takeBufferedBody } from './buffered-body.js'
import { isChangedBodyOf } from './changed-body.js'
import { hasBody, type ClientHead } from './client-head.js'
import type { Draft } from './draft.js'
import { takeHeld } from './hold-back.js'
import { requestTrailers } from './trailers.js'

/** Behind the head of an upgrade, the upstream would read a body as the first bytes of the other protocol. */
const BODY_OF_UPGRADE =
  'a body for an upgrade, which has none: check req.headers.upgrade before you set outgoing.body'

/** A request that is not changed any more, as the upstream gets it, with the facts that the exchange needs. */
export class SentRequest implements UpstreamRequest {
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
  readonly takeBody: (() => Buffer | undefined) | undefined
  readonly taken: (() => readonly (Buffer | string)[] | undefined) | undefined
  /** True if the client has a body that has not come in one piece. */
  readonly hasStreamedBody: boolean
  /** The request out of which `body` was taken, but for its end; undefined once that was read too. */
  private takenFrom: IncomingMessage | undefined

  constructor(draft: Draft) {
    const { req, settings, target, head, outgoing, mayMove } = draft
    const isOwn = outgoing.body === req
    const isBuffered = isOwn && hasBufferedBody(req, head)
    this.hasStreamedBody = hasBody(head) && !isBuffered
    this.target = target
    this.origin = target.origin
    this.method = outgoing.method
    this.path = outgoing.path
    this.body = outgoing.body
    this.takeBody = isOwn && mayMove ? () => takeBufferedBody(req, head) : undefined
    this.taken = isOwn ? () => takeHeld(req) : undefined
    if (settings.preserveHost) keepHost(outgoing, head)
    this.contentLength = lengthOf(draft, isOwn)
    this.lines = outgoing.headers.lines
    this.upgrade = acceptedUpgrade(req, settings)
    refuseBodyOfUpgrade(this)
    this.headersTimeoutMs = settings.headersTimeoutMs
    this.idleTimeoutMs = settings.idleTimeoutMs
    this.maxQueue = settings.maxQueue
    // The object that a host puts there has no events, and may serve any number of clients.
    this.clientConnection = hasConnection(req) ? req.socket : undefined
    this.trailers = trailersOf(draft, this)
    // Last: a request that cannot be sent leaves its body where it is.
    this.takenFrom = isBuffered && !mayMove ? req : undefined
    if (this.takenFrom !== undefined) this.body = takeBody(req)
  }

  /** Reads the end of a body that was taken, as it is being sent: it is not given back any more. */
  readEnd(): void {
    this.takenFrom?.resume()
    this.takenFrom = undefined
  }

  /** Gives a body back that was taken, and not sent: the handler of the error may read it. */
  giveBack(): void {
    if (this.takenFrom !== undefined) giveBackBody(this.takenFrom, this.body as Buffer)
  }
}

function refuseBodyOfUpgrade({ upgrade, body }: UpstreamRequest): void {
  if (upgrade !== undefined && body !== null) throw unsendableRequest(BODY_OF_UPGRADE)
}

/** Returns the client's trailers, which follow a body in chunks; any other loses its announcement of them. */
function trailersOf(
  { req, head, outgoing }: Draft,
  { body, contentLength }: UpstreamRequest,
): (() => readonly string[]) | undefined {
  const isChanged = isChangedBodyOf(req, body)
  if ((body === req || isChanged) && contentLength === undefined) {
    return () => requestTrailers(req, head.setHere, isChanged)
  }
  if (head.hasTrailer) outgoing.headers.delete('trailer')
  return undefined
}

/** Keeps the client's Host, unless a hook has set another. */
function keepHost({ headers }: OutgoingRequest, { host }: ClientHead): void {
  if (host !== undefined && !headers.has('host')) headers.append('host', host)
}

/**
 * Returns the client's length for its own body, or the hook's length for a body of the hook; without one, chunks are
 * used.
 */
function lengthOf({ settings, head, outgoing }: Draft, isOwn: boolean): string | undefined {
  const isVoid = outgoing.body === null
  const own = (isOwn || (isVoid && !hasBody(head))) && !head.chunked ? head.contentLength : undefined
  if (settings.onRequest === undefined) return own
  const set = takeLengths(outgoing)
  if (set.length > (own === undefined ? 1 : 0)) throw unsendableRequest(`Content-Length: ${set.join(', ')}`)
  return isVoid ? own : (own ?? set[0])
}

/** Removes the lengths that a hook has set, and returns them. */
function takeLengths({ headers }: OutgoingRequest): string[] {
  const set = headers.getAll('content-length')
  if (set.length > 0) headers.delete('content-length')
  return set
}

/** Returns the token under which the connection is to be tunnelled, if any. */
function acceptedUpgrade(req: IncomingMessage, { upgrade }: ProxySettings): string | undefined {
  if (pendingUpgrade(req) === undefined) return undefined
  const asked = (req.headers.upgrade ?? '').split(',').map((token) => token.trim())
  return asked.find((token) => upgrade.has(token.toLowerCase()))
}
