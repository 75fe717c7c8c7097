import { once } from 'node:events'
import http, { type OutgoingHttpHeaders } from 'node:http'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { waitFor } from '../time/waiting.js'

/** Reads a gzip answer line by line, each as soon as the received bytes can be decoded to it. */
export async function requestLines(url: string, headers: OutgoingHttpHeaders = {}): Promise<DecodedLines> {
  const request = http.get(url, { headers: { 'Accept-Encoding': 'gzip', ...headers }, agent: false })
  const [response] = (await waitFor(`the head of ${url}`, once(request, 'response'))) as [
    http.IncomingMessage,
  ]
  const decoded = response.pipe(createGunzip())
  decoded.on('error', () => {}) // a client that leaves half way has half a gzip stream
  return { response, lines: createInterface({ input: decoded })[Symbol.asyncIterator]() }
}

export interface DecodedLines {
  readonly response: http.IncomingMessage
  readonly lines: AsyncIterator<string>
}

/** The next line. Fails the test if the answer has ended instead. */
export async function nextLine({ lines }: DecodedLines): Promise<string> {
  const { value, done } = await waitFor('the next decoded line', lines.next())
  if (done === true) throw new Error('the answer ended')
  return value
}
