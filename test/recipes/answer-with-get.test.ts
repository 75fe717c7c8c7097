import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { expect } from 'chai'
import type { Express } from 'express'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve, type TestServer } from '../support/servers/servers.js'
import { waitFor } from '../support/time/waiting.js'

describe('recipe: answer a POST with the response of a GET to another server', () => {
  let answer: RequestListener
  let upstream: TestServer
  let app: Express
  let asked: IncomingMessage[]

  before(async () => {
    upstream = await serve((req, res) => {
      asked.push(req)
      answer(req, res)
    })
    process.env['UPSTREAM'] = upstream.url
    ;({ app } = await import('../../.recipes/answer-with-get.js'))
    app.set('env', 'test') // Express logs no errors then
    delete process.env['UPSTREAM']
  })
  beforeEach(() => {
    asked = []
    answer = (req, res) => res.end('found')
  })
  after(closeServers)

  it('sends a GET with the query and without the body, and returns its answer', async () => {
    answer = (req, res) => {
      res.writeHead(203, { 'Content-Type': 'text/x-found', 'X-Hits': '2' }).end('tea & cake')
    }
    const client = await search('{"q":"tea & cake","page":2}')
    const response = await client.response()
    expect(response).to.include({ status: 203 })
    expect(response.headers['x-hits']).to.deep.equal(['2'])
    expect(response.body.toString()).to.equal('tea & cake')
    expect(asked[0]).to.include({ method: 'GET', url: '/search?q=tea+%26+cake&page=2' })
    expect(asked[0]?.headers).to.not.have.any.keys('content-length', 'transfer-encoding', 'content-type')
    client.destroy()
  })

  it('takes a parameter of the route, encoded again', async () => {
    const client = await search('{"q":"tea"}', '/shops/..%2Fa&b/search')
    expect(await client.response()).to.include({ status: 200 })
    expect(asked[0]).to.include({ url: '/shops/..%2Fa%26b/search?q=tea&page=1' })
    client.destroy()
  })

  it('explains a search that is none, and an upstream that breaks, in its own words', async () => {
    const wrong = await search('{"page":1}')
    const refused = await wrong.response()
    expect(refused.status).to.equal(400)
    expect(JSON.parse(String(refused.body))).to.deep.include({ code: 'ERR_SLUICEWAY_BODY_INVALID' })
    expect(asked).to.have.lengthOf(0)
    wrong.destroy()

    answer = (req) => req.socket.destroy()
    const client = await search('{"q":"tea"}')
    const broken = await client.response()
    expect(broken.status).to.equal(502)
    expect(JSON.parse(String(broken.body))).to.deep.equal({
      error: 'the search is not available',
      code: 'ERR_SLUICEWAY_UPSTREAM_RESET',
    })
    client.destroy()
  })

  it('passes on the first part of the answer before the second exists', async () => {
    const opened = new Promise<ServerResponse>((resolve) => {
      answer = (req, res) => {
        res.write('first,')
        resolve(res)
      }
    })
    const client = await search('{"q":"slow"}')
    await client.untilText('first,')
    const res = await waitFor('the upstream to be asked', opened)
    res.end('second')
    await client.untilText('second')
    client.destroy()
  })

  it('answers 400 to a body that is not a search, and sends no request', async () => {
    const client = await search('{"page":1}')
    expect(await client.response()).to.include({ status: 400 })
    expect(asked).to.have.length(0)
    client.destroy()
  })

  it('ends the upstream request when the client leaves', async () => {
    const left = new Promise<void>((resolve) => {
      answer = (req, res) => {
        res.write('endless')
        res.on('close', resolve)
      }
    })
    const client = await search('{"q":"endless"}')
    await client.untilText('endless')
    client.destroy()
    await waitFor('the upstream to see its response closed', left)
  })

  async function search(body: string, path = '/search'): Promise<RawClient> {
    const server = await serve(app)
    const client = await RawClient.connect(server.port)
    client.request('POST', path, { 'Content-Type': 'application/json' }, body)
    return client
  }
})
