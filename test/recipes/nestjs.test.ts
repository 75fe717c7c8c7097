import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import '@nestjs/core' // sets globals, which mocha would take for leaks of the recipe
import type { RawBodyRequest } from '@nestjs/common'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { expect } from 'chai'
import { WebSocket, WebSocketServer } from 'ws'
import '../support/recipes/example-secrets.js'
import { nextLine, requestLines } from '../support/clients/decoded-lines.js'
import { lastChunk, RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen, serve, type TestServer } from '../support/servers/servers.js'

const SESSION = { Cookie: 'session=session-of-ada' }

describe('recipe: NestJS', () => {
  let app: NestExpressApplication
  let served: TestServer
  let echo: WebSocketServer

  before(async () => {
    const upstream = await serve((req, res) => {
      void text(req).then((body) => res.end(`${req.method} ${req.url} ${body}`))
    })
    echo = new WebSocketServer({ server: upstream.server })
    echo.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    process.env['UPSTREAM'] = upstream.url
    const { createApp } = await import('../../.recipes/nestjs.js')
    delete process.env['UPSTREAM']
    app = await createApp({ logger: false, rawBody: true })
    await app.init()
    served = await listen(app.getHttpServer())
  })
  after(async () => {
    echo.close()
    await app.close()
    await closeServers()
  })

  async function order(body: string, key = 'sesame'): Promise<Response> {
    const headers = {
      'Content-Type': 'application/json',
      'X-Signature': createHmac('sha256', key).update(body).digest('hex'),
    }
    return await fetch(`${served.url}/orders`, { method: 'POST', body, headers })
  }

  it('checks the bytes of a body that Nest also parses', async () => {
    const taken = await order('{ "id" :  "A-1" }')
    expect(taken.status).to.equal(201)
    expect(await taken.json()).to.deep.equal({ taken: 'A-1' })
    expect((await order('{ "id" :  "A-1" }', 'other')).status).to.equal(403)
  })

  it("does not change Nest's own rawBody", async () => {
    const body = '{ "id" :  "A-1" }'
    const arrived = once(served.server, 'request')
    await order(body)
    const [{ rawBody }] = (await arrived) as [RawBodyRequest<IncomingMessage>]
    expect(rawBody?.toString()).to.equal(body)
  })

  for (const [framing, headers] of Object.entries({
    announced: 'Content-Length: 2000000',
    chunked: 'Transfer-Encoding: chunked',
  })) {
    it(`answers 413 in the form of Nest to an upload that continues, and closes: ${framing}`, async () => {
      const client = await RawClient.connect(served.port)
      client.write(`POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${headers}\r\n\r\n`)
      if (framing === 'chunked') client.write('200000\r\n', Buffer.alloc(1.5 * 1024 ** 2, 'x'))
      const refused = await client.response()
      expect(refused.status).to.equal(413)
      expect(refused.headers['connection']).to.deep.equal(['close'])
      expect(JSON.parse(refused.body.toString())).to.deep.equal({
        statusCode: 413,
        message: 'request entity too large',
      })
      await client.closed()
      client.destroy()
    })
  }

  it('delivers each line, compressed, before the next one is written', async () => {
    const follower = await requestLines(`${served.url}/orders`)
    expect(follower.response.headers['content-encoding']).to.equal('gzip')
    expect(await nextLine(follower)).to.equal('following')
    for (const id of ['A-1', 'A-2', 'A-3']) {
      await order(JSON.stringify({ id }))
      expect(await nextLine(follower)).to.equal(id)
    }
    follower.response.destroy()
  })

  it("delivers each event of Nest's own @Sse before the next one", async () => {
    const client = await RawClient.connect(served.port)
    client.request('GET', '/events', { 'Accept-Encoding': 'gzip' })
    const head = await client.untilText('\r\n\r\n')
    expect(head)
      .to.match(/no-transform/)
      .and.not.match(/content-encoding/i)
    for (const id of ['A-1', 'A-2', 'A-3']) {
      await order(JSON.stringify({ id }))
      await client.untilText(`data: ${id}\n`)
    }
    client.destroy()
  })

  it('passes on, byte for byte, a body that Nest has parsed', async () => {
    const headers = { ...SESSION, 'Content-Type': 'application/json' }
    const body = '{ "spaces" :  "kept" }'
    const answer = await fetch(`${served.url}/legacy/a%2Fb?x=1`, { method: 'POST', body, headers })
    expect(await answer.text()).to.equal(`POST /a%2Fb?x=1 ${body}`)
  })

  it('lets its guard answer, and the upstream gets no request', async () => {
    const answer = await fetch(`${served.url}/legacy/x`)
    expect([answer.status, await answer.json()]).to.deep.equal([
      403,
      { message: 'Forbidden resource', error: 'Forbidden', statusCode: 403 },
    ])
  })

  it('opens a WebSocket if the guard allows it', async () => {
    const socket = new WebSocket(`${served.url}/legacy/chat`, { headers: SESSION })
    await once(socket, 'open')
    socket.send('hello')
    expect(String((await once(socket, 'message'))[0])).to.equal('hello')
    socket.close()
    await once(socket, 'close')
  })

  it('answers 403 to the handshake of a stranger', async () => {
    const socket = new WebSocket(`${served.url}/legacy/chat`)
    socket.on('error', () => {})
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
    expect(response.statusCode).to.equal(403)
    response.destroy()
  })

  it('invites a body only after its guard has let the request pass', async () => {
    const client = await RawClient.connect(served.port)
    const upload = ['Host: a', 'Expect: 100-continue', 'Transfer-Encoding: chunked']
    client.write(`POST /legacy/x HTTP/1.1\r\n${upload.join('\r\n')}\r\n\r\n`)
    expect((await client.response()).status).to.equal(403)
    client.destroy()
    const invited = await RawClient.connect(served.port)
    upload.push(`Cookie: ${SESSION.Cookie}`)
    invited.write(`POST /legacy/x HTTP/1.1\r\n${upload.join('\r\n')}\r\n\r\n`)
    expect((await invited.response()).status).to.equal(100)
    invited.write(`5\r\nhello\r\n${lastChunk}`)
    expect(String((await invited.response()).body)).to.equal('POST /x hello')
    invited.destroy()
  })
})
