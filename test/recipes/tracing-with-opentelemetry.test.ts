import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import { RawClient } from '../support/clients/raw-client.js'
import { RecipeProcess } from '../support/recipes/recipe-process.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

/** A span as ConsoleSpanExporter prints it. */
interface Printed {
  readonly traceId: string
  readonly id: string
  readonly parentSpanContext?: { readonly traceId: string; readonly spanId: string }
  readonly name: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly status: { readonly code: number }
  readonly events: readonly unknown[]
}

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const ERROR = 2

describe('recipe: traces with OpenTelemetry', () => {
  let program: RecipeProcess
  let spans: readonly Printed[]
  let answer: (req: IncomingMessage, res: ServerResponse) => void

  before(async () => {
    const upstream = createServer((req, res) => answer(req, res))
    const { url } = await listen(upstream)
    program = await RecipeProcess.start('tracing-with-opentelemetry', { UPSTREAM: url })
    spans = program.printed as readonly Printed[]
  })
  after(async () => {
    await program?.end()
    await closeServers()
  })
  beforeEach(() => {
    ;(spans as Printed[]).length = 0
    answer = (req, res) => {
      const { traceparent } = req.headers
      const lines = req.rawHeaders.filter((text) => text.toLowerCase() === 'traceparent')
      setTimeout(() => res.end(JSON.stringify({ traceparent, lines: lines.length })), Math.random() * 10)
    }
  })

  const named = (name: string): Printed[] => spans.filter((span) => span.name === name)

  it('makes one span a request, below the span of that request, and sends one traceparent: its own', async () => {
    const count = 30
    const seen = await Promise.all(
      Array.from({ length: count }, async () => {
        const response = await fetch(`http://127.0.0.1:${program.port}/api/x?y`)
        return (await response.json()) as { traceparent: string; lines: number }
      }),
    )
    await until(() => spans.length === 2 * count)
    const serving = new Map(named('serve GET').map((span) => [span.id, span]))
    const proxying = new Map(named('proxy GET').map((span) => [span.id, span]))
    expect([serving.size, proxying.size]).to.deep.equal([count, count])
    expect(new Set([...serving.values()].map(({ traceId }) => traceId)).size).to.equal(count)
    for (const { traceId, parentSpanContext } of proxying.values()) {
      expect(serving.get(parentSpanContext!.spanId)?.traceId).to.equal(traceId)
    }
    expect(
      new Set([...proxying.values()].map(({ parentSpanContext }) => parentSpanContext!.spanId)).size,
    ).to.equal(count)
    for (const { traceparent, lines } of seen) {
      expect(lines).to.equal(1)
      const [, traceId, spanId = ''] = traceparent.split('-')
      expect(proxying.get(spanId)?.traceId).to.equal(traceId)
    }
  })

  it('continues the trace of a client, whose traceparent is replaced', async () => {
    const client = await RawClient.connect(program.port)
    const line = `Traceparent: 00-${TRACE}-${SPAN}-01\r\n`
    client.write(`GET /api/ HTTP/1.1\r\nHost: a\r\n${line}Baggage: a=b\r\nTracestate: c=d\r\n\r\n`)
    const { lines, traceparent } = JSON.parse(String((await client.response()).body)) as {
      traceparent: string
      lines: number
    }
    client.destroy()
    await until(() => spans.length === 2)
    const [serve] = named('serve GET')
    const [proxy] = named('proxy GET')
    expect([serve?.traceId, serve?.parentSpanContext?.spanId]).to.deep.equal([TRACE, SPAN])
    expect([proxy?.traceId, proxy?.parentSpanContext?.spanId]).to.deep.equal([TRACE, serve?.id])
    expect([lines, traceparent]).to.deep.equal([1, `00-${TRACE}-${proxy?.id}-01`])
  })

  it('describes the request, its answer and its failure', async () => {
    answer = (req, res) => {
      if (req.url === '/cut') req.socket.destroy()
      else void res.writeHead(404).end('nothing')
    }
    await fetch(`http://127.0.0.1:${program.port}/api/none`, { method: 'POST', body: 'abc' })
    await until(() => named('proxy POST').length)
    const [missing] = named('proxy POST')
    expect(missing?.attributes).to.include({
      'http.request.method': 'POST',
      'http.response.status_code': 404,
      'http.request.body.size': 3,
      'http.response.body.size': 7,
      'sluiceway.outcome': 'answered',
    })
    expect(missing?.attributes['url.full']).to.match(/^http:\/\/127\.0\.0\.1:\d+\/none$/)
    expect(missing?.status.code).to.equal(ERROR)
    await fetch(`http://127.0.0.1:${program.port}/api/cut`, { method: 'POST', body: 'abc' })
    await until(() => named('proxy POST').length === 2)
    const [, cut] = named('proxy POST')
    expect(cut?.attributes).to.include({ 'sluiceway.outcome': 'failed' })
    expect([cut?.status.code, cut?.events.length]).to.deep.equal([ERROR, 1])
  })

  it('ends the span of a client that leaves', async () => {
    let arrived = false
    answer = () => (arrived = true)
    const client = await RawClient.connect(program.port)
    client.request('GET', '/api/')
    await until(() => arrived)
    client.destroy()
    await until(() => named('proxy GET').length)
    expect(named('proxy GET')[0]?.attributes).to.include({ 'sluiceway.outcome': 'client-left' })
  })
})
