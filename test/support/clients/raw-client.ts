import { once } from 'node:events'
import net from 'node:net'
import { lastOf, noteWait, waitFor } from '../time/waiting.js'

/** One response as it was on the wire, with its body decoded from chunks. */
export interface RawResponse {
  readonly status: number
  readonly reason: string
  /** Names in lower case; the values of a repeated header in order. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  /** The head as it was received, to assert case, order and duplicates. */
  readonly head: string
  readonly body: Buffer
  /** The lines after the last chunk. */
  readonly trailers: readonly string[]
}

/** A client on a plain socket: a test writes raw bytes, and sees what came back and when. */
export class RawClient {
  readonly socket: net.Socket
  private buffered: Buffer = Buffer.alloc(0)
  private ended = false
  private trailers: readonly string[] = []
  /** The reason why the connection broke, if it did not end by itself. */
  private failure: NodeJS.ErrnoException | undefined

  /** What messages call it. */
  private readonly name: string

  private constructor(socket: net.Socket, name: string) {
    this.socket = socket
    this.name = name
    socket.on('data', (chunk: Buffer) => {
      this.buffered = Buffer.concat([this.buffered, chunk])
    })
    socket.on('error', (error) => {
      this.failure = error
    })
    socket.on('close', () => {
      this.ended = true
    })
    socket.on('end', () => {
      this.ended = true
    })
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const client = new RawClient(socket, `the client of port ${port}`)
    await waitFor(`port ${port} to accept a connection`, once(socket, 'connect'))
    return client
  }

  /** The same for an existing connection, such as the server's side of one. */
  static over(socket: net.Socket, name = 'the client'): RawClient {
    return new RawClient(socket, name)
  }

  /** Bytes that were received and not yet taken by `response` or `until`. */
  get pending(): Buffer {
    return this.buffered
  }

  /** Writes all parts at once. Returns false if the socket's buffer is full. */
  write(...parts: readonly (string | Uint8Array)[]): boolean {
    return this.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))))
  }

  /** Sends one request. A body gets Content-Length; an array of bodies is sent in chunks. */
  request(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string | Buffer | string[],
  ): void {
    const framing = framingOf(body)
    const lines = Object.entries({ Host: 'test', ...framing.headers, ...headers }).map(
      ([k, v]) => `${k}: ${v}`,
    )
    this.write(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    for (const part of framing.parts) this.write(part)
  }

  /** Waits until `found` returns a value for the received bytes, and fails if the connection ends first. */
  async until<Found>(
    found: (buffered: Buffer) => Found | undefined,
    what = 'what the test looks for',
  ): Promise<Found> {
    const isOver = noteWait(() => `${this.name} to receive ${what} (${lastOf(this.buffered)})`)
    try {
      for (;;) {
        const result = found(this.buffered)
        if (result !== undefined) return result
        if (this.ended) throw this.endedEarly(what)
        await this.news()
      }
    } finally {
      isOver()
    }
  }

  /** Waits until something has come, or nothing will. */
  private news(): Promise<void> {
    return new Promise<void>((resolve) => {
      const wake = (): void => {
        for (const event of ['data', 'end', 'close']) this.socket.off(event, wake)
        resolve()
      }
      for (const event of ['data', 'end', 'close']) this.socket.on(event, wake)
    })
  }

  /** Waits until `text` has been received and takes everything up to its end. */
  async untilText(text: string): Promise<string> {
    const end = await this.until((bytes) => positive(bytes.indexOf(text)), JSON.stringify(text))
    return this.take(end + Buffer.byteLength(text)).toString('latin1')
  }

  /** Waits for one whole response and takes it. A response without framing lasts until the connection ends. */
  async response({ head = false }: { head?: boolean } = {}): Promise<RawResponse> {
    const headEnd = await this.until((bytes) => positive(bytes.indexOf('\r\n\r\n')), 'the head of a response')
    const parsed = parseHead(this.take(headEnd + 4).toString('latin1'))
    this.trailers = []
    if (head || isBodyless(parsed.status)) return { ...parsed, body: Buffer.alloc(0), trailers: [] }
    const body = await this.body(parsed.headers).catch((error: Error) => {
      throw new Error(`${parsed.status}, cut: ${error.message}`)
    })
    return { ...parsed, body, trailers: this.trailers }
  }

  /** Waits until the server has ended or cut the connection. */
  async closed(): Promise<void> {
    if (this.ended) return
    const isOver = noteWait(
      () => `the connection of ${this.name} to be ended or cut (${lastOf(this.buffered)})`,
    )
    await new Promise<void>((resolve) => {
      for (const event of ['end', 'close']) this.socket.once(event, () => resolve())
    })
    isOver()
  }

  destroy(): void {
    this.socket.destroy()
  }

  private endedEarly(what: string): Error {
    const how = this.failure === undefined ? 'ended' : `failed (${this.failure.code})`
    return new Error(`connection ${how} before ${what} came: ${lastOf(this.buffered)}`)
  }

  private async body(headers: RawResponse['headers']): Promise<Buffer> {
    if (headers['transfer-encoding']?.[0] === 'chunked') return this.chunkedBody()
    const length = headers['content-length']?.[0]
    if (length === undefined) {
      await this.closed()
      return this.take(this.buffered.length)
    }
    return this.bytes(Number(length))
  }

  /** Waits for this number of bytes and takes them. */
  async bytes(length: number): Promise<Buffer> {
    await this.until((bytes) => (bytes.length >= length ? true : undefined), `${length} bytes`)
    return this.take(length)
  }

  /** Waits for a whole chunked body and takes it, without its framing. */
  async chunkedBody(): Promise<Buffer> {
    const chunks: Buffer[] = []
    for (;;) {
      const size = Number.parseInt(await this.untilText('\r\n'), 16)
      if (size === 0) {
        this.trailers = await this.linesToEmpty()
        return Buffer.concat(chunks)
      }
      await this.until((bytes) => (bytes.length >= size + 2 ? true : undefined), `a chunk of ${size} bytes`)
      chunks.push(this.take(size))
      this.take(2)
    }
  }

  private async linesToEmpty(): Promise<string[]> {
    const lines: string[] = []
    for (;;) {
      const line = await this.untilText('\r\n')
      if (line === '\r\n') return lines
      lines.push(line.slice(0, -2))
    }
  }

  private take(length: number): Buffer {
    const taken = this.buffered.subarray(0, length)
    this.buffered = this.buffered.subarray(length)
    return taken
  }
}

/** Frames `data` as one chunk of a chunked body. */
export function asChunk(data: string | Buffer): Buffer {
  const bytes = Buffer.from(data)
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

/** Ends a chunked body. */
export const lastChunk = '0\r\n\r\n'

function framingOf(body: string | Buffer | string[] | undefined): {
  headers: Record<string, string>
  parts: (string | Buffer)[]
} {
  if (body === undefined) return { headers: {}, parts: [] }
  if (Array.isArray(body)) {
    return { headers: { 'Transfer-Encoding': 'chunked' }, parts: [...body.map(asChunk), lastChunk] }
  }
  return { headers: { 'Content-Length': String(Buffer.byteLength(body)) }, parts: [body] }
}

function parseHead(head: string): Omit<RawResponse, 'body' | 'trailers'> {
  const [statusLine = '', ...lines] = head.slice(0, -4).split('\r\n')
  const [, status, reason = ''] = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(statusLine) ?? []
  // Not an object: a line may be called `__proto__`.
  const headers = new Map<string, string[]>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()])
  }
  return { status: Number(status), reason, headers: Object.fromEntries(headers), head }
}

function isBodyless(status: number): boolean {
  return status < 200 || status === 204 || status === 304
}

function positive(index: number): number | undefined {
  return index === -1 ? undefined : index
}
