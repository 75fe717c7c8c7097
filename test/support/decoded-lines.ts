import http, { type OutgoingHttpHeaders } from 'node:http'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'

/** Reads a gzip answer line by line, each as soon as the received bytes can be decoded to it. */
export async function requestLines(url: string, headers: OutgoingHttpHeaders = {}): Promise<DecodedLines> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http
      .get(url, { headers: { 'Accept-Encoding': 'gzip', ...headers }, agent: false }, resolve)
      .on('error', reject)
  })
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
  const { value, done } = await lines.next()
  if (done === true) throw new Error('the answer ended')
  return value
}
