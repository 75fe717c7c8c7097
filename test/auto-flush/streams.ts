import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import type { RequestListener, ServerResponse } from 'node:http'
import { PassThrough, pipeline } from 'node:stream'
import type { Response } from 'express'
import { type Coding, StreamingClient } from '../support/clients/streaming-client.js'
import { serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { waitFor } from '../support/time/waiting.js'

/** The sending end of a response. */
export interface Sender {
  send(text: string): void
  end(): void
}

/** Opens one way for data into a response. */
export type Way = (res: ServerResponse) => Sender

export const writing: Way = (res) => ({ send: (text) => res.write(text), end: () => res.end() })

/** Every way that AF1 names. */
export const ways: Record<string, Way> = {
  'write of strings': writing,
  'write of Buffers': (res) => ({ send: (text) => res.write(Buffer.from(text)), end: () => res.end() }),
  pipe: (res) => {
    const source = new PassThrough()
    source.pipe(res)
    return senderInto(source)
  },
  pipeline: (res) => {
    const source = new PassThrough()
    pipeline(source, res, () => {})
    return senderInto(source)
  },
  "a child's stdout": (res) => {
    const child: ChildProcessWithoutNullStreams = spawn('cat')
    child.stdout.pipe(res)
    return senderInto(child.stdin)
  },
}

function senderInto(source: NodeJS.WritableStream): Sender {
  return { send: (text) => source.write(text), end: () => source.end() }
}

/** A response that a test holds open at both ends. */
export interface OpenStream {
  readonly res: Response
  readonly sender: Sender
  readonly client: StreamingClient
}

interface Application extends RequestListener {
  get(path: string, handler: (req: unknown, res: Response) => void): unknown
}

/** An application that streams at `/`, and gives each response to the test that requested it. */
export class StreamServer {
  /** Where clients ask: its own address, or that of a proxy that a test has put before it. */
  url: string
  private opening = deferred<{ res: Response; sender: Sender }>()
  private way: Way = writing
  private first = ''

  private constructor(url: string) {
    this.url = url
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  /** `type` is the Content-Type of the responses. `closeServers` ends it. */
  static async start(app: Application, type = 'text/plain'): Promise<StreamServer> {
    const { url } = await serve(app)
    const server = new StreamServer(url)
    app.get('/', (_req, res) => {
      res.type(type)
      const sender = server.way(res)
      sender.send(server.first)
      server.opening.resolve({ res, sender })
    })
    return server
  }

  /** Sends `first` and resolves when the client has the head. */
  async open(first: string, coding: Coding, way: Way = writing): Promise<OpenStream> {
    this.opening = deferred()
    this.way = way
    this.first = first
    const client = await StreamingClient.get(this.url, coding)
    return { ...(await waitFor('the app to be asked', this.opening.promise)), client }
  }

  /** Sends chunk n + 1 only once chunk n has been decoded at the client, and then ends the response. */
  async pingPong(coding: Coding, way?: Way): Promise<StreamingClient> {
    const { client, sender } = await this.open('chunk 0.', coding, way)
    for (let n = 0; n < 5; n++) {
      await client.received(`chunk ${n}.`)
      sender.send(`chunk ${n + 1}.`)
    }
    await client.received('chunk 5.')
    sender.end()
    const text = await client.ended()
    if (text !== 'chunk 0.chunk 1.chunk 2.chunk 3.chunk 4.chunk 5.') throw new Error(text)
    return client
  }
}
