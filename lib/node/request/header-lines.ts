import { IncomingMessage } from '../http.js'
import type { JoiningRequest } from '../internals.js'

/**
 * Joins the lines of a head as Node does for `req.headers`: for some names the first line counts, for others all
 * lines do.
 */
export function joinLines(req: IncomingMessage, lines: readonly string[]): NodeJS.Dict<string | string[]> {
  const headers: NodeJS.Dict<string | string[]> = {}
  // oxlint-disable-next-line typescript/unbound-method
  const { _addHeaderLine: add } = IncomingMessage.prototype as JoiningRequest
  for (let i = 0; i < lines.length; i += 2) add.call(req, lines[i] as string, lines[i + 1] as string, headers)
  return headers
}
