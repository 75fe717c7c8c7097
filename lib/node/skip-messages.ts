import type { ParsedRequest, RequestParser } from './internals.js'

/** Makes the parser of a connection read every further message without giving it to anybody. */
export function skipFurtherMessages(parser: RequestParser): void {
  parser.onIncoming = skipMessage
}

/** In place of `parser.onIncoming`: discards one message, and lets it upgrade nothing. */
export function skipMessage(req: ParsedRequest): number {
  req.upgrade = false
  req.resume()
  return 0
}
