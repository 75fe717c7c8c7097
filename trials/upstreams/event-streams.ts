import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import compression from 'compression'
import { passthroughProxy } from 'sluiceway'
import { expressVersions } from '../../test/support/express/express-versions.js'
import { listen, serve } from '../../test/support/servers/servers.js'
import { until } from '../../test/support/time/until.js'
import { proxyTo } from './proxy.js'
import type { Trial } from './trial.js'

const TOKENS = 50
const STREAMS = 100

/** Streams that a client reads as they come: tokens of a language model, gRPC-web, and streams without end. */
export async function eventStreams(trial: Trial): Promise<void> {
  trial.server = `Node ${process.version}`
  const model = new Model()
  const { url } = await listen(createServer((req, res) => void model.answer(req, res)))
  const proxy = await proxyTo(url)
  const app = expressVersions[0].express().use(compression(), passthroughProxy(url))
  const compressed = await serve(app)
  for (const kind of ['tokens', 'grpc-web', 'grpc-web-text']) {
    const [one, other] = [await model.converse(url, kind), await model.converse(proxy.url, kind)]
    trial.holds(`${kind}: oracle`, one.parts === TOKENS, () => JSON.stringify(one))
    trial.same(`${kind}: each part comes before the next is sent`, one, other)
  }
  const { parts } = await model.converse(compressed.url, 'tokens')
  trial.holds('tokens through compression', parts === TOKENS, () => String(parts))
  await model.manyAtOnce(trial, proxy.url)
  await model.clientsThatLeave(trial, proxy.url)
}

/** A server that sends a part when the client has acknowledged the one before. */
class Model {
  private readonly waiting = new Map<string, () => void>()
  private open = 0
  private calls = 0

  async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = Buffer.concat((await req.toArray()) as Buffer[]).toString('latin1')
    this.open += 1
    res.once('close', () => (this.open -= 1))
    if (req.url === '/endless') return endless(res)
    const kind = req.url!.slice(1)
    res.writeHead(200, {
      'Content-Type': types[kind],
      'Cache-Control': 'no-cache',
      'X-Accel-Buffering': 'no',
    })
    for (let i = 0; i < TOKENS; i += 1) {
      res.write(framed(kind, `token ${i}`))
      await new Promise<void>((resolve) => this.waiting.set(body, resolve))
    }
    res.end(kind === 'tokens' ? 'data: [DONE]\n\n' : framed(kind, 'grpc-status:0\r\n', 0x80))
  }

  /** Reads a stream, part by part. */
  async converse(
    url: string,
    kind: string,
  ): Promise<{ parts: number; status: number; type: unknown; last: string }> {
    this.calls += 1
    const id = `call ${this.calls}`
    const sent = request(`${url}/${kind}`, {
      method: 'POST',
      headers: { 'Content-Type': types[kind], 'Accept-Encoding': 'gzip', TE: 'trailers' },
    })
    sent.end(id)
    const timer = setTimeout(() => sent.destroy(), 10_000)
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    let parts = 0
    let last = ''
    const isPacked = answer.headers['content-encoding'] === 'gzip'
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      last = chunk.toString('latin1')
      // Of a packed stream, each flush is a chunk of its own: behind the head of the format.
      if (this.waiting.has(id) && !(isPacked && chunk.length <= 10)) {
        parts += 1
        const proceed = this.waiting.get(id)!
        this.waiting.delete(id)
        proceed()
      }
    }
    clearTimeout(timer)
    return { parts, status: answer.statusCode!, type: answer.headers['content-type'], last }
  }

  async manyAtOnce(trial: Trial, url: string): Promise<void> {
    const all = await Promise.all(
      Array.from({ length: STREAMS }, async () => await this.converse(url, 'tokens')),
    )
    trial.holds(
      `${STREAMS} streams at once`,
      all.every(({ parts }) => parts === TOKENS),
    )
  }

  /** The server hears at once of each client that leaves. */
  async clientsThatLeave(trial: Trial, url: string): Promise<void> {
    await until(() => this.open === 0)
    const sent = Array.from({ length: STREAMS }, () =>
      request(`${url}/endless`)
        .on('error', () => {})
        .end(),
    )
    await Promise.all(sent.map(async (each) => await once(each, 'response')))
    const all = this.open
    for (const each of sent) each.destroy()
    const began = performance.now()
    await until(() => this.open === 0).catch(() => {})
    trial.holds(
      `${STREAMS} clients leave`,
      all === STREAMS && this.open === 0,
      () => `${this.open} of ${all} are left`,
    )
    trial.note(
      `${STREAMS} clients have left; the server knew after ${Math.round(performance.now() - began)} ms`,
    )
  }
}

function endless(res: ServerResponse): void {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
}

const types: Readonly<Record<string, string>> = {
  tokens: 'text/event-stream',
  'grpc-web': 'application/grpc-web+proto',
  'grpc-web-text': 'application/grpc-web-text+proto',
}

/** An event, or a message of gRPC-web: a flag, a length, the bytes; in base64 as text. */
function framed(kind: string, text: string, flag = 0): string | Buffer {
  if (kind === 'tokens') return `data: {"token":"${text}"}\n\n`
  const message = Buffer.alloc(5 + text.length)
  message[0] = flag
  message.writeUInt32BE(text.length, 1)
  message.write(text, 5)
  return kind === 'grpc-web' ? message : message.toString('base64')
}
