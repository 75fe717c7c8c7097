import { once } from 'node:events'
import { request } from 'node:http'
import { expect } from 'chai'
import express, { type Request } from 'express'
import { app } from '../../.recipes/log-bodies.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

interface Entry {
  readonly request: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  readonly status: number
  readonly outcome: string
  readonly answerHeaders: Readonly<Record<string, unknown>>
  readonly answer: string
}

describe('recipe: log requests and responses with their bodies', () => {
  const { info } = console
  const lines: string[] = []
  let url: string
  let port: number

  before(() => {
    console.info = (line: string) => void lines.push(line)
  })
  after(() => {
    console.info = info
  })
  beforeEach(async () => {
    lines.length = 0
    ;({ url, port } = await serve(app.set('env', 'test')))
  })
  afterEach(closeServers)

  async function onlyEntry(): Promise<Entry> {
    await until(() => lines.length > 0)
    expect(lines).to.have.length(1)
    expect(lines[0]).to.not.contain('\n')
    return JSON.parse(lines[0] as string) as Entry
  }

  function post(path: string, type: string, body: string | Uint8Array<ArrayBuffer>): Promise<Response> {
    return fetch(url + path, { method: 'POST', headers: { 'Content-Type': type }, body })
  }

  it('shows both bodies as the handler sees them, without secrets', async () => {
    const body = '{"user":"ada","password":"ses\\"ame","userToken":{"a":[1],"b":"c"}}'
    const headers = { 'Content-Type': 'application/json', Authorization: 'Bearer x', Cookie: 'sid=1' }
    const response = await fetch(`${url}/login?token=abc&page=2`, { method: 'POST', headers, body })
    expect(await response.json()).to.deep.equal({ user: 'ada', token: 't-4711' })
    const entry = await onlyEntry()
    expect(entry).to.include({
      request: 'POST /login?token=***&page=2',
      body: '{"user":"ada","password":"***","userToken":"***"',
      status: 200,
      outcome: 'whole',
      answer: '{"user":"ada","token":"***"}',
    })
    expect(entry.headers).to.include({
      authorization: '***',
      cookie: '***',
      'content-length': String(body.length),
    })
    expect(lines[0]).to.not.match(/sesame|4711|Bearer|sid=1/)
  })

  it('masks a form, and shows bytes of other types by their size', async () => {
    await (await post('/echo', 'application/x-www-form-urlencoded', 'a=1&new_password=x%20y&b=2')).text()
    expect(await onlyEntry()).to.include({
      body: 'a=1&new_password=***&b=2',
      answer: 'a=1&new_password=***&b=2',
    })
    for (const type of ['image/png', 'text/plain']) {
      lines.length = 0
      await (await post('/echo', type, Buffer.alloc(3000, 0xff))).arrayBuffer()
      expect(await onlyEntry(), type).to.include({ body: '(3000 bytes)', answer: '(3000 bytes)' })
    }
  })

  it('shows the first 2048 bytes of a large text, compressed or not, and changes no byte of it', async () => {
    const text = `é${'x'.repeat(99_998)}`
    const response = await post('/echo', 'text/plain', text)
    expect(response.headers.get('content-encoding')).to.be.oneOf(['gzip', 'br'])
    expect(await response.text()).to.equal(text)
    const shown = `é${'x'.repeat(2046)}… (100000 bytes)`
    expect(await onlyEntry()).to.include({ body: shown, answer: shown, outcome: 'whole' })
  })

  it('logs a stream whose client leaves', async () => {
    const client = await RawClient.connect(port)
    client.request('GET', '/ticks')
    await client.untilText('data: 1')
    client.destroy()
    const entry = await onlyEntry()
    expect(entry).to.include({ status: 200, outcome: 'cut', body: '' })
    expect(entry.answer).to.match(/^data: 0\n\ndata: 1\n\n/)
  })

  it('logs an upload whose client leaves, and one that is too large', async () => {
    const leaving = request(`${url}/echo`, {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain', 'Content-Length': 9 },
    })
    leaving.on('error', () => {})
    leaving.write('half')
    await once(leaving, 'response')
    leaving.destroy()
    expect(await onlyEntry()).to.include({ body: 'half', outcome: 'cut', answer: 'half' })

    lines.length = 0
    expect((await post('/echo', 'text/plain', 'x'.repeat(6_000_000))).status).to.equal(413)
    expect(await onlyEntry()).to.include({ request: 'POST /echo', status: 413 })
  })

  it('does not read an upload that its handler does not read', async () => {
    const held: Request[] = []
    const server = await serve(express().use(app, (req) => void held.push(req)))
    const client = await RawClient.connect(server.port)
    client.request('POST', '/none', { 'Content-Type': 'text/plain' }, Buffer.alloc(4_000_000, 'x'))
    await until(() => (held[0]?.bodyCache.size ?? 0) > 2048)
    // Meanwhile the server would read far more of the upload, if the log asked for it.
    for (let count = 0; count < 5; count++) {
      await (await post('/echo', 'text/plain', 'x'.repeat(1_000_000))).text()
    }
    expect(held[0]?.bodyCache.size).to.be.below(400_000)
    client.destroy()
  })
})
