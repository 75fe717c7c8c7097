// All methods in here are called with the request as `this`.
/* oxlint-disable typescript/unbound-method */
import { IncomingMessage } from 'node:http'
import { BodyStream } from '../kept/stream.js'
import type { ParsedRequest } from '../../node/internals.js'
import { REPLAYS } from '../../node/keys.js'
import type { RequestReplay } from './rounds.js'
import { findBodySource } from '../sourced-request.js'

type ReplayedMethods = Pick<
  ParsedRequest,
  '_read' | 'pause' | 'destroy' | 'iterator' | typeof Symbol.asyncIterator
>

const NODE = IncomingMessage.prototype as ParsedRequest

/** The methods by which a request is replayed. On a request without a replay they do what Node's own do. */
const methods: ReplayedMethods = {
  _read(this: ParsedRequest, size) {
    const replay = replayOf(this)
    if (replay === undefined) NODE._read.call(this, size)
    else replay.read()
  },
  pause(this: ParsedRequest) {
    NODE.pause.call(this)
    replayOf(this)?.rewindAbandoned()
    return this
  },
  destroy(this: ParsedRequest, error) {
    const replay = replayOf(this)
    if (replay === undefined) return NODE.destroy.call(this, error)
    destroyInPlace(this, replay, error)
    return this
  },
  iterator(this: ParsedRequest, options) {
    return iteratorApart(this, options) ?? NODE.iterator.call(this, options)
  },
  [Symbol.asyncIterator](this: ParsedRequest) {
    return iteratorApart(this) ?? NODE[Symbol.asyncIterator].call(this)
  },
}
Object.assign(methods._read, { [REPLAYS]: true })

/**
 * Gives a request the methods by which it is replayed, where it does not have them.
 *
 * Up to Node 22, each property that is added to a request after Express has changed its prototype costs a hidden class
 * (1.3 KB, 2 us). So they stand once on `express.request`, from which the requests of all applications inherit. Any
 * other request gets its own, and so does one whose methods somebody has replaced, or that was handed to an
 * application of another copy of Express.
 */
export function replaceMethods(req: ParsedRequest): void {
  if (isReplayed(req)) return
  Object.assign(expressRequestOf(req) ?? req, methods)
  if (!isReplayed(req)) Object.assign(req, methods)
}

/** Returns the `_read` of a request as it is without a replay. */
export function nativeReadOf(req: ParsedRequest): ParsedRequest['_read'] {
  return isReplayed(req) ? NODE._read : req._read
}

function isReplayed(req: ParsedRequest): boolean {
  return REPLAYS in req._read
}

/** Finds `express.request`: the last object before Node's own, unless that is a class. */
function expressRequestOf(req: ParsedRequest): object | undefined {
  let last: object = req
  for (let next = req as object; next !== NODE; next = Object.getPrototypeOf(next) as object) {
    if (Object.getPrototypeOf(next) === null) return undefined
    last = next
  }
  return last === req || Object.hasOwn(last, 'constructor') ? undefined : last
}

function replayOf(req: ParsedRequest): RequestReplay | undefined {
  return findBodySource(req)?.replay
}

/**
 * Stream internals and HTTP clients take the socket away before they destroy a request they were reading, and mean
 * only their reading of it; that must not cost the client its answer. Any other call cuts the connection, as in Node,
 * unless the body has been read to its end.
 */
function destroyInPlace(req: ParsedRequest, replay: RequestReplay, error: Error | undefined): void {
  const { socket } = replay.source
  const byReader = (req.socket as unknown) === null
  if (byReader) req.socket = socket
  if (!socket.destroyed && (byReader || replay.wasRead)) replay.giveUp(error)
  else replay.destroy(error)
}

/** The core's iterator would read on after 'end', into the next round; a stream apart has no next round. */
function iteratorApart(
  req: ParsedRequest,
  options?: { destroyOnReturn?: boolean },
): AsyncIterableIterator<Buffer> | undefined {
  const source = findBodySource(req)
  return source?.replay === undefined
    ? undefined
    : new BodyStream(source, { isRequest: true }).iterator(options)
}
