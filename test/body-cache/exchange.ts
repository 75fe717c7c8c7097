import type { IncomingMessage, ServerResponse } from 'node:http'
import { bodyCache } from 'sluiceway/body-cache'
import { hosts } from '../support/hosts.js'
import { RawClient } from '../support/raw-client.js'
import { serve } from '../support/servers.js'

/** A chunked upload whose client and whose server are both in the hands of the test. */
export interface Exchange {
  readonly client: RawClient
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

/** Starts a server with `bodyCache()` and sends it the head of a chunked upload. */
export async function exchange(contentType = 'text/plain'): Promise<Exchange> {
  let arrived: (pair: [IncomingMessage, ServerResponse]) => void
  const request = new Promise<[IncomingMessage, ServerResponse]>((resolve) => {
    arrived = resolve
  })
  const { port } = await serve(hosts[0]!.mount(bodyCache(), (req, res) => arrived([req, res])))
  const client = await RawClient.connect(port)
  client.write(
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${contentType}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  )
  const [req, res] = await request
  return { client, req, res }
}

/** Resolves once `isTrue`, and lets the event loop go round until then. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(setImmediate)
}
