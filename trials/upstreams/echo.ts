import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Of its connection, or added by the proxy. */
const ofConnection = new Set(['connection', 'keep-alive', 'sluiceway-loop', 'host', 'expect'])

/** Answers with what has arrived, so that a request can be compared as an answer is. */
export async function echo(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const hash = createHash('sha256')
  let length = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    hash.update(chunk)
    length += chunk.length
  }
  const seen = {
    method: req.method,
    url: req.url,
    lines: linesOf(req.rawHeaders),
    length,
    digest: hash.digest('hex'),
    trailers: req.rawTrailers,
  }
  res.end(JSON.stringify(seen))
}

/** Framing and Host may stand anywhere. */
function linesOf(raw: readonly string[]): string[] {
  const lines: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (name === 'content-length' || name === 'transfer-encoding') lines.unshift(`${name}: ${raw[i + 1]}`)
    else if (!ofConnection.has(name)) lines.push(`${raw[i]}: ${raw[i + 1]}`)
  }
  return lines
}
