import type { IncomingMessage } from 'node:http'
import type { OnBody, OnExecute, ParsedRequest, RequestParser, ServerSocket } from '../internals.js'

/* The one place that controls a connection's parser and replaces its functions. */

/** Called with each head; returns what Node's own `onIncoming` returns. */
export type OnIncoming = RequestParser['onIncoming']

/** Replaces `parser.onIncoming`. */
export function replaceIncoming(parser: RequestParser, onIncoming: OnIncoming): void {
  parser.onIncoming = onIncoming
}

/** Makes the parser of a connection read all further messages and discard them. */
export function skipFurtherMessages(parser: RequestParser): void {
  replaceIncoming(parser, skipMessage)
}

/** Replaces `parser.onIncoming`: discards one message, and lets it upgrade nothing. */
export function skipMessage(req: ParsedRequest): number {
  serveAsPlain(req)
  req.resume()
  return 0
}

/**
 * Makes Node serve a message that asks for an upgrade as a plain request. Its header is removed too: an application
 * or a proxy that reads it would take over a connection that is in use.
 */
export function serveAsPlain(req: ParsedRequest): void {
  req.upgrade = false
  delete req.headers.upgrade
}

/** Makes the parser of a connection forget a request that is complete. */
export function forgetRequest({ parser }: ServerSocket, req: IncomingMessage): void {
  if (req.complete && parser?.incoming === req) parser.incoming = null
}

/** The function of Node's parsers that hands a piece of a body over. */
let nodeOnBody: OnBody | undefined

/** Replaces `parserOnBody`. Returns false if the parser, or the function, is not Node's own. */
export function replaceOnBody(parser: RequestParser, onBody: OnBody): boolean {
  const { kOnBody = -1 } = parser.constructor
  const present = parser[kOnBody] as OnBody | undefined
  if (present === onBody) return true
  if (present === undefined || (present !== nodeOnBody && !isNodes(parser, present))) return false
  nodeOnBody = present
  parser[kOnBody] = onBody
  return true
}

/** Tells whether it is this function to which a parser hands a piece of a body over. */
export function handsOverTo(parser: RequestParser, onBody: OnBody): boolean {
  return parser[parser.constructor.kOnBody ?? -1] === onBody
}

/** Calls Node's own function with a piece of a body. */
export function passToNode(parser: RequestParser, chunk: Buffer): void {
  nodeOnBody?.call(parser, chunk)
}

/** Compares parts of the source text, which are the same from Node 20 to 26. */
function isNodes(parser: RequestParser, onBody: OnBody): boolean {
  const text = String(onBody)
  const isKnown = text.includes('if (!stream._dumped) {') && text.includes('stream.push(b)')
  return isKnown && String(parser.constructor).includes('[native code]')
}

/** Calls `afterParsing` after bytes were parsed, and gives it the function that Node would have called. */
export function afterExecution(
  parser: RequestParser,
  afterParsing: (parsed: unknown, onExecute: OnExecute) => void,
): void {
  const { kOnExecute } = parser.constructor
  const onExecute = parser[kOnExecute ?? -1] as OnExecute | undefined
  if (onExecute !== undefined) parser[kOnExecute!] = (parsed: unknown) => afterParsing(parsed, onExecute)
}

/** Tells whether a parser reads its bytes from the socket's handle, and so reports how many it has parsed. */
export function readsFromHandle(parser: RequestParser): boolean {
  return parser._consumed === true
}

/** Returns the bytes that are being parsed, or were parsed last. */
export function bytesAtHand(parser: RequestParser): Buffer | undefined {
  return parser.getCurrentBuffer?.()
}

/**
 * Gives bytes to a parser that reads its own from the socket's handle, and returns how many it has parsed. Only
 * Node's parser listens for data of such a socket.
 */
export function parseMore(socket: ServerSocket, parser: RequestParser, bytes: Buffer): unknown {
  const execute = parser.execute.bind(parser)
  let parsed: unknown
  parser.execute = (given) => (parsed = execute(given))
  socket.emit('data', bytes)
  Reflect.deleteProperty(parser, 'execute')
  return parsed
}
