import type { Socket } from 'node:net'

/**
 * Makes undici forget the Content-Length of the response that it is reading from `socket`.
 *
 * A 304 may carry the length of the body it has not (RFC 9110 §8.6). undici 7 compares it with the bytes that came,
 * none, and drops the connection; it exempts HEAD, but has no option or event for this (`strictContentLength` is about
 * requests). Its parser keeps the length as text, and compares nothing where that is ''. The parser is found by the
 * description of the symbol under which the socket holds it.
 *
 * Where undici has changed inside, nothing happens here, and no answer is lost: only each such response costs its
 * connection. test/passthrough-proxy/undici-parser.test.ts then fails.
 */
export function forgetContentLength(socket: Socket): void {
  const parser = parserOf(socket)
  if (typeof parser?.contentLength === 'string') parser.contentLength = ''
}

function parserOf(socket: Socket): { contentLength?: unknown } | undefined {
  const key = Object.getOwnPropertySymbols(socket).find((symbol) => symbol.description === 'parser')
  return key && (socket as never)[key]
}
