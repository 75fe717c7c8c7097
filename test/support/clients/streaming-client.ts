import { once } from 'node:events'
import http from 'node:http'
import type { Readable } from 'node:stream'
import zlib from 'node:zlib'
import { createZstdDecompress } from '../express/zstd-compression.js'
import { happened, lastOf, noteWait, waitFor } from '../time/waiting.js'

/** The content codings that `compression` knows. */
export const codings = ['identity', 'gzip', 'deflate', 'br'] as const
export type Coding = (typeof codings)[number] | 'zstd'

/** A client that decodes a response as it arrives, and waits for given text. */
export class StreamingClient {
  readonly response: http.IncomingMessage
  /** The bytes of the body as they arrived, still encoded. */
  wireBytes = 0
  /** The text that has been decoded so far. */
  text = ''
  private readonly decoded: Readable

  private constructor(response: http.IncomingMessage, coding: string) {
    this.response = response
    response.on('data', (chunk: Buffer) => (this.wireBytes += chunk.length))
    this.decoded = decode(response, coding).setEncoding('utf8')
    this.decoded.on('data', (text: string) => (this.text += text))
    this.decoded.on('error', () => {})
    response.on('error', () => {})
  }

  /** Resolves as soon as the head of the response has arrived, and fails if its coding is not `coding`. */
  static async get(url: string, coding: Coding = 'identity'): Promise<StreamingClient> {
    const request = http.get(url, { agent: false, headers: { 'Accept-Encoding': coding } })
    request.on('error', () => {})
    const [response] = (await waitFor(`the head of ${url}`, once(request, 'response'))) as [
      http.IncomingMessage,
    ]
    const actual = response.headers['content-encoding'] ?? 'identity'
    if (actual !== coding) throw new Error(`asked for ${coding}, got ${actual}`)
    return new StreamingClient(response, actual)
  }

  /** Waits until `text` has been decoded. */
  async received(text: string): Promise<void> {
    const isOver = noteWait(() => `the client to decode ${JSON.stringify(text)} (${lastOf(this.text)})`)
    try {
      while (!this.text.includes(text)) await once(this.decoded, 'data')
    } finally {
      isOver()
    }
  }

  async ended(): Promise<string> {
    if (!this.decoded.readableEnded) await happened('the decoded response', this.decoded, 'end')
    return this.text
  }

  leave(): void {
    this.response.destroy()
  }
}

function decode(response: http.IncomingMessage, coding: string): Readable {
  if (coding === 'gzip') return response.pipe(zlib.createGunzip())
  if (coding === 'deflate') return response.pipe(zlib.createInflate())
  if (coding === 'br') return response.pipe(zlib.createBrotliDecompress())
  if (coding === 'zstd' && createZstdDecompress) return response.pipe(createZstdDecompress())
  return response
}
