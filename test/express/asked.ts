import { asChunk } from '../support/clients/raw-client.js'

/** A request as it goes over the wire, with the status of the answer. */
export interface Asked {
  readonly title: string
  readonly status: number
  readonly bytes: Buffer
  /** Whether the connection closes behind it. */
  readonly isLast: boolean
  /** The only version of Express that knows it. */
  readonly only?: 'Express 5'
}

export interface More {
  readonly method?: string
  readonly version?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** Frames the body as these chunks, with what comes behind the last. */
  readonly chunks?: readonly string[]
  readonly trailer?: string
  readonly only?: 'Express 5'
  readonly closes?: boolean
}

/** Returns a request for a path, which is answered with a status. */
export function asks(status: number, path: string, more: More = {}): Asked {
  const { method = 'GET', version = '1.1', headers = {}, closes = false } = more
  const { framing, sent, shown } = framed(more)
  const lines = Object.entries({ Host: 'a.b.test:80', ...framing, ...headers })
  const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const told = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return {
    title: [`${method} ${path} HTTP/${version}`, ...told, ...shown].join(', '),
    status,
    bytes: Buffer.concat([Buffer.from(`${method} ${path} HTTP/${version}\r\n${text}\r\n`), sent]),
    isLast: closes || (headers['Connection'] ?? (version === '1.0' ? 'close' : '')) === 'close',
    ...(more.only && { only: more.only }),
  }
}

/** The lines that announce a body, its bytes, and their name in a title. */
function framed({ body, chunks, trailer = '' }: More): { framing: object; sent: Buffer; shown: string[] } {
  if (chunks !== undefined) {
    const sent = Buffer.concat([...chunks.map(asChunk), Buffer.from(`0\r\n${trailer}\r\n`)])
    return { framing: { 'Transfer-Encoding': 'chunked' }, sent, shown: [chunks.join('|').slice(0, 20)] }
  }
  if (body === undefined) return { framing: {}, sent: Buffer.alloc(0), shown: [] }
  const sent = Buffer.from(body)
  const shown = typeof body === 'string' ? body.slice(0, 20) : body.toString('hex')
  return { framing: { 'Content-Length': `${sent.length}` }, sent, shown: [shown] }
}
