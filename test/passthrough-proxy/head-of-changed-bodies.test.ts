import { expect } from 'chai'
import { passthroughProxy, type IncomingResponse } from 'sluiceway'

import { closeServers, serve } from '../support/servers.js'

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
