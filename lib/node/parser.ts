import type { IncomingMessage } from 'node:http'
import type { OnExecute, ParsedRequest, RequestParser, ServerSocket } from './internals.js'

/* The one place where a connection's parser is told what to do, and where its functions are replaced. */

/** Called with each head; returns what Node's own `onIncoming` returns. */
export type OnIncoming = RequestParser['onIncoming']

/** Puts a function in place of `parser.onIncoming`. */
export function replaceIncoming(parser: RequestParser, onIncoming: OnIncoming): void {
  parser.onIncoming = onIncoming
}

/** Makes the parser of a connection read every further message without giving it to anybody. */
export function skipFurtherMessages(parser: RequestParser): void {
  replaceIncoming(parser, skipMessage)
}

/** In place of `parser.onIncoming`: discards one message, and lets it upgrade nothing. */
export function skipMessage(req: ParsedRequest): number {
  serveAsPlain(req)
  req.resume()
  return 0
}

/**
 * Has Node serve a message that asks for an upgrade as a plain request. An application or a proxy that goes by the header
 * would take over a connection that is in use.
 */
export function serveAsPlain(req: ParsedRequest): void {
  req.upgrade = false
  delete req.headers.upgrade
}

/** Has the parser of a connection forget a request that has come whole. */
export function forgetRequest({ parser }: ServerSocket, req: IncomingMessage): void {
  if (req.complete && parser?.incoming === req) parser.incoming = null
}

/** Calls `afterParsing` in place of what Node calls after bytes were parsed, which it is given. */
export function afterExecution(
  parser: RequestParser,
  afterParsing: (parsed: unknown, onExecute: OnExecute) => void,
): void {
  const { kOnExecute } = parser.constructor
  const onExecute = parser[kOnExecute ?? -1] as OnExecute | undefined
  if (onExecute !== undefined) parser[kOnExecute!] = (parsed: unknown) => afterParsing(parsed, onExecute)
}

/** Tells whether a parser takes its bytes from the socket's handle, and tells of all that it has parsed. */
export function takesBytesItself(parser: RequestParser): boolean {
  return parser._consumed === true
}

/** The bytes that are being parsed, or have just been. */
export function bytesAtHand(parser: RequestParser): Buffer | undefined {
  return parser.getCurrentBuffer?.()
}

/**
 * Gives bytes to a parser that takes its own from the socket's handle, and returns how many it has taken. Nothing but
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
