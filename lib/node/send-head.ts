import { ServerResponse } from 'node:http'
import type { OutgoingResponse } from './internals.js'

/**
 * Sends the head of a response now, as Node sends it with a body: one byte for each character. Node's own
 * `flushHeaders` writes it as UTF-8, and so turns each byte past ASCII into two.
 */
export function sendHead(res: ServerResponse): void {
  if (!hasNodesFlush(res)) {
    res.flushHeaders()
    return
  }
  if (!res.headersSent) res.writeHead(res.statusCode)
  res._send('', 'latin1')
}

/** False for HTTP/2, which has no such bytes, and for a `flushHeaders` of other code, which has to be called. */
// oxlint-disable-next-line typescript/unbound-method
function hasNodesFlush(res: ServerResponse): res is OutgoingResponse {
  return res.flushHeaders === ServerResponse.prototype.flushHeaders
}
