import { createServer } from 'node:http'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { passthroughProxy, type IncomingResponse, type PassthroughProxyOptions } from 'sluiceway'
import { closeServers, listen, serve } from '../../support/servers/servers.js'

describe('a HEAD whose GET would be changed', () => {
  afterEach(closeServers)

  async function ask(
    onResponse: (incoming: IncomingResponse) => unknown,
    method: string,
    status = 200,
  ): Promise<Response> {
    const headers = { 'Content-Length': '5', ETag: '"a"', 'Last-Modified': 'x', 'Accept-Ranges': 'bytes' }
    const upstream = await serve((_req, res) => res.writeHead(status, headers).end('Hello'))
    const proxy = passthroughProxy(upstream.url, { onResponse })
    const { url } = await serve((req, res) =>
      proxy(req, res, (error) => res.writeHead(500).end(String((error as Error).cause))),
    )
    return fetch(url, { method })
  }

  const farewell = async (incoming: IncomingResponse): Promise<void> => {
    const text = (await incoming.decode().buffer()).toString()
    incoming.replace(text.replace('Hello', 'Goodbye'))
  }

  it('has no length of a body that the hook made of an empty one', async () => {
    expect((await ask(farewell, 'GET')).headers.get('content-length')).to.equal('7')
    const head = await ask(farewell, 'HEAD')
    expect(head.status).to.equal(200)
    expect(head.headers.has('content-length')).to.equal(false)
  })

  it('has nothing of the old body if the hook leaves an empty one alone', async () => {
    const { headers } = await ask(async (incoming) => {
      const text = (await incoming.buffer()).toString()
      if (text !== '') incoming.replace('Goodbye')
    }, 'HEAD')
    for (const name of ['content-length', 'etag', 'last-modified', 'accept-ranges'])
      expect(headers.has(name), name).to.equal(false)
  })

  it('has no length of a body that the hook made of the empty one of a 304', async () => {
    const { status, headers } = await ask(farewell, 'GET', 304)
    expect([status, headers.has('content-length')]).to.deep.equal([304, false])
    const same = await ask((incoming) => incoming.replace('Goodbye'), 'GET', 304)
    expect(same.headers.get('content-length')).to.equal('7')
  })

  it('keeps the ETag of a 304 that the hook leaves alone, and the length of a 304 that becomes a 200', async () => {
    const { headers } = await ask((incoming) => incoming.buffer(), 'GET', 304)
    expect(headers.get('etag')).to.equal('"a"')
    const whole = await ask(
      async (incoming) => {
        await incoming.buffer()
        incoming.statusCode = 200
        incoming.replace('Goodbye')
      },
      'GET',
      304,
    )
    expect([whole.headers.get('content-length'), await whole.text()]).to.deep.equal(['7', 'Goodbye'])
  })

  it('has the length of a body that does not depend on that of the upstream', async () => {
    const { headers } = await ask((incoming) => incoming.replace('Goodbye'), 'HEAD')
    expect(headers.get('content-length')).to.equal('7')
  })

  it('has a length that the hook sets afterwards', async () => {
    const { headers } = await ask(async (incoming) => {
      await farewell(incoming)
      incoming.headers.set('Content-Length', '7')
    }, 'HEAD')
    expect(headers.get('content-length')).to.equal('7')
  })

  for (const method of ['decode', 'pipeThrough'] as const) {
    it(`is not sent for a part of a document: ${method}() throws, coded or not`, async () => {
      const response = await ask((incoming) => incoming[method](new TextEncoderStream()), 'GET', 206)
      expect(response.status).to.equal(500)
      expect(await response.text()).to.contain(`${method}() cannot change a part of a document (206)`)
    })
  }

  it('buffers without a limit', async () => {
    const response = await ask((incoming) => incoming.buffer({ limit: Infinity }), 'GET')
    expect(await response.text()).to.equal('Hello')
  })
})

const bodiless: Readonly<Record<string, readonly [method: string, PassthroughProxyOptions, status: number]>> =
  {
    'a HEAD with the text of replace': ['HEAD', { onResponse: (incoming) => incoming.replace('Hi') }, 200],
    'a HEAD with the stream of replace': [
      'HEAD',
      { onResponse: (incoming) => incoming.replace(new PassThrough().end('Hi')) },
      200,
    ],
    'a HEAD that was sent as a GET': [
      'HEAD',
      { onRequest: (outgoing) => void (outgoing.method = 'GET') },
      200,
    ],
    'a 304 that the hook has made': [
      'GET',
      { onResponse: (incoming) => void (incoming.statusCode = 304) },
      304,
    ],
    'a 204 whose body is transformed': [
      'GET',
      {
        onResponse(incoming) {
          incoming.statusCode = 204
          incoming.pipeThrough(new PassThrough())
        },
      },
      204,
    ],
  }

describe('a response without a body, on a server that rejects one', () => {
  afterEach(closeServers)

  for (const [what, [method, options, status]] of Object.entries(bodiless)) {
    it(`has no body of the upstream or the hook: ${what}`, async () => {
      const upstream = await serve((_req, res) => res.end('Hello'))
      const server = createServer(
        { rejectNonStandardBodyWrites: true },
        passthroughProxy(upstream.url, options),
      )
      const { url } = await listen(server)
      const response = await fetch(url, { method })
      expect([response.status, await response.text()]).to.deep.equal([status, ''])
    })
  }
})
