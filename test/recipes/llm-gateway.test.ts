import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { createGunzip } from 'node:zlib'
import { expect } from 'chai'
import type { Express } from 'express'
import '../support/recipes/example-secrets.js'
import { nextLine } from '../support/clients/decoded-lines.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'

const ADA = { Authorization: 'Bearer user-key-of-ada' }

describe('recipe: a gateway to a language model', () => {
  let app: Express
  let answer: (req: IncomingMessage, res: ServerResponse) => void
  const { info } = console

  before(async () => {
    const { url } = await serve((req, res) => answer(req, res))
    const { API_KEY: key } = process.env
    Object.assign(process.env, { UPSTREAM: url, API_KEY: 'key-of-the-gateway' })
    ;({ app } = await import('../../.recipes/llm-gateway.js'))
    delete process.env['UPSTREAM']
    process.env['API_KEY'] = key
  })
  after(async () => {
    await closeServers()
    console.info = info
  })

  let told: string[]
  beforeEach(() => {
    told = []
    console.info = (...words: unknown[]) => void told.push(words.slice(1).join(' '))
  })

  /** A model that begins to answer: what it was asked, and where its tokens go. */
  function model(): Promise<{ req: IncomingMessage; res: ServerResponse }> {
    return new Promise((resolve) => {
      answer = (req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
        resolve({ req, res })
      }
    })
  }

  async function ask(headers: Record<string, string>): Promise<http.ClientRequest> {
    const { port } = await serve(app)
    const asking = http.request({ port, method: 'POST', path: '/v1/chat/completions', headers, agent: false })
    asking.on('error', () => {})
    asking.end('{"stream":true}')
    return asking
  }

  it('passes on each token before the next is made, through gzip, with the key of the gateway', async () => {
    const thinking = model()
    const asking = await ask({ ...ADA, Cookie: 'private=1', 'Accept-Encoding': 'gzip' })
    const [response] = (await once(asking, 'response')) as [IncomingMessage]
    const { req, res } = await thinking
    expect(req.url).to.equal('/v1/chat/completions')
    expect(req.headers.authorization).to.equal('Bearer key-of-the-gateway')
    expect(req.headers).not.to.have.any.keys('cookie', 'accept-encoding')
    expect(await text(req)).to.equal('{"stream":true}')
    expect(response.headers['content-encoding']).to.equal('gzip')
    const decoded = createInterface({ input: response.pipe(createGunzip()) })
    const answered = { response, lines: decoded[Symbol.asyncIterator]() }
    for (const token of ['Once', ' upon', ' a', ' time']) {
      res.write(`data: ${JSON.stringify(token)}\n\n`)
      expect(await nextLine(answered)).to.equal(`data: ${JSON.stringify(token)}`)
      expect(await nextLine(answered)).to.equal('')
    }
    res.end('data: [DONE]\n\n')
    expect(await nextLine(answered)).to.equal('data: [DONE]')
    if (!response.closed) await once(response, 'close')
    expect(told).to.deep.equal(['/v1/chat/completions ada whole'])
  })

  it('stops the model when the client stops, within 100 ms', async () => {
    const thinking = model()
    const asking = await ask({ ...ADA, 'Accept-Encoding': 'gzip' })
    const [response] = (await once(asking, 'response')) as [IncomingMessage]
    response.on('error', () => {}).resume()
    const { res } = await thinking
    const first = once(response, 'data')
    res.write('data: "Once"\n\n')
    await first
    const since = performance.now()
    asking.destroy()
    await once(res, 'close')
    expect(performance.now() - since).to.be.below(100)
    expect(res.writableFinished).to.equal(false)
    expect(told).to.deep.equal(['/v1/chat/completions ada stopped'])
  })

  it('checks the user before the model gets the request', async () => {
    answer = () => expect.fail('the model was asked')
    const client = await RawClient.connect((await serve(app)).port)
    client.request('POST', '/v1/chat/completions', { Authorization: 'Bearer key' }, '{}')
    expect((await client.response()).status).to.equal(401)
    client.destroy()
  })

  for (const [what, status, code, body] of [
    ['a model that breaks off before its answer', 502, 'ERR_SLUICEWAY_UPSTREAM_RESET', '{}'],
    ['a prompt over the limit', 413, 'ERR_SLUICEWAY_BODY_TOO_LARGE', Buffer.alloc(1024 * 1024 + 1)],
  ] as const) {
    it(`answers ${status} as JSON to ${what}`, async () => {
      answer = (req) => req.socket.destroy()
      const client = await RawClient.connect((await serve(app)).port)
      client.request('POST', '/v1/chat/completions', ADA, body)
      const response = await client.response()
      expect(response.status).to.equal(status)
      expect(JSON.parse(response.body.toString())).to.have.nested.property('error.code', code)
      client.destroy()
    })
  }
})
