import type { IncomingMessage, ServerResponse } from 'node:http'
import { isHttp2, isServedAsHttp10, streamOf } from '../../node/request/facts.js'
import { isHeadWritten } from '../../node/response/send-head.js'
import { sendableLinks } from './link-values.js'

/**
 * Passes 102 and 103 on; HTTP/1.0 has no interim responses (RFC 9110 §15.2). They are optional, so none waits for a
 * client that does not read, or that has to get another answer first.
 */
export function writeInformation(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  lines: readonly string[],
): void {
  if (isHeadWritten(res) || isServedAsHttp10(req) || !isRead(res)) return
  if (status === 102) writeProcessing(res)
  if (status === 103) res.writeEarlyHints(asHints(lines))
}

/** Writes a 102, for which Node has no method over HTTP/2. */
function writeProcessing(res: ServerResponse): void {
  if (isHttp2(res.req)) streamOf(res).additionalHeaders({ ':status': 102 })
  else res.writeProcessing()
}

/** Tells whether a response has its turn, and its client takes what is sent. */
function isRead({ socket }: ServerResponse): boolean {
  return socket !== null && !socket.writableNeedDrain
}

/** Returns the lines by name. RFC 9110 §8.6 excludes a length, for which clients over HTTP/2 reset the stream. */
function asHints(lines: readonly string[]): Record<string, string | string[]> {
  const hints: Record<string, string | string[]> = {}
  const links: string[] = []
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase()
    if (name === 'link') links.push(...sendableLinks(lines[i + 1] as string))
    else if (name !== 'content-length') hints[name] = lines[i + 1] as string
  }
  return { ...hints, link: links }
}
