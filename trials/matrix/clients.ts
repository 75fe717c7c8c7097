import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import axios from 'axios'
import * as undici from 'undici'
import { type Consumer, sender } from './consumer.js'

/** Whoever sends a request on as the body of another. */
export const clients: readonly Consumer[] = [
  sender('http.request', sendWithHttpRequest),
  sender('undici.request', async (req, _res, upstream) =>
    (await undici.request(upstream, { method: 'POST', body: req })).body.text(),
  ),
  sender('undici.fetch', async (req, _res, upstream) =>
    (await undici.fetch(upstream, { method: 'POST', body: req, duplex: 'half' })).text(),
  ),
  sender('fetch', async (req, _res, upstream) =>
    (await fetch(upstream, { method: 'POST', body: req, duplex: 'half' } as unknown as RequestInit)).text(),
  ),
  sender(
    'axios',
    async (req, _res, upstream) => (await axios.post<string>(upstream, req, { responseType: 'text' })).data,
  ),
]

function sendWithHttpRequest(req: IncomingMessage, _res: ServerResponse, upstream: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(upstream, { method: 'POST' }, (answer) => {
      text(answer).then(resolve, reject)
    })
    outgoing.on('error', reject)
    req.pipe(outgoing)
  })
}
