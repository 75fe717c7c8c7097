import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { expect } from 'chai'
import { WebSocket } from 'ws'
import { createPlayground } from '../../docs/playground/server.js'
import type { Upstream } from '../../docs/playground/upstream.js'
import { nextLine, requestLines } from '../support/decoded-lines.js'
import { type RawResponse, RawClient } from '../support/raw-client.js'
import { closeServers, listen, type TestServer } from '../support/servers.js'

const megabyte = 1024 * 1024

describe('playground over the wire', () => {
  let playground: TestServer
  let upstream: Upstream

  beforeEach(async () => {
    const { server, upstream: behind } = await createPlayground()
    upstream = behind
    playground = await listen(server)
  })
  afterEach(async () => {
    await closeServers()
    upstream.server.closeAllConnections()
    await new Promise((resolve) => upstream.server.close(resolve))
  })

  it('serves the page and every file that it names', async () => {
    const html = (await request('GET', '/')).body.toString()
    const files = [...html.matchAll(/(?:src|href)="([^#"]+)"/g)].map(([, file]) => `/${file}`)
    expect(files).to.include.members(['/style.css', '/panels/lines.js'])
    for (const file of files) expect(await request('GET', file), file).to.include({ status: 200 })
  })

  it('delivers the first line of the command before the last one is printed', async () => {
    const lines = await requestLines(`${playground.url}/lines/flushed`)
    expect(lines.response.headers['content-encoding']).to.equal('gzip')
    const arrived: number[] = []
    let last = ''
    for (let line = 0; line < 12; line++) {
      last = await nextLine(lines)
      arrived.push(Date.now())
    }
    expect(arrived[0]).to.be.below(Number.parseInt(last, 10))
    expect((await lines.lines.next()).done).to.equal(true)
  })

  it('refuses 8 MB with numbers, by length and in chunks', async () => {
    const body = Buffer.alloc(8 * megabyte)
    for (const sent of [body, [body.toString('latin1')]]) {
      const refused = await request('POST', '/upload', {}, sent)
      expect(refused.status).to.equal(413)
      const answer = JSON.parse(refused.body.toString())
      expect(answer).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE', limit: megabyte })
      expect(answer.afterMs).to.be.a('number')
    }
    expect(await request('POST', '/upload', {}, 'small')).to.include({ status: 201 })
  })

  it('hands the signed body to the upstream byte for byte', async () => {
    const body =
      '{ "id":"A-1", "sentAt":"2026-03-01", "customer":{"name":"Ada","country":"GB"},\n"items":[{"sku":"tea","quantity":1,"price":1}]}'
    const headers = {
      'Content-Type': 'application/json',
      'X-Signature': createHmac('sha256', 'sesame').update(body).digest('hex'),
    }
    const answer = await request('POST', '/body', headers, body)
    const sha256 = createHash('sha256').update(body).digest('hex')
    expect(JSON.parse(answer.body.toString())).to.include({
      bytes: body.length,
      sha256,
      contentLength: String(body.length),
    })
    const report = JSON.parse(decodeURIComponent(answer.headers['playground-report']?.[0] ?? ''))
    expect(report).to.include({ sha256 })
    expect(report.order).to.deep.equal({ id: 'A-1', pack: ['1 × tea'], total: 1 })
  })

  it('opens a WebSocket to the upstream', async () => {
    const socket = new WebSocket(`${playground.url.replace('http', 'ws')}/proxy/to/socket`)
    await once(socket, 'open')
    socket.send('hello')
    const [data] = await once(socket, 'message')
    expect(String(data)).to.equal('hello')
    socket.close()
    await once(socket, 'close')
    expect(upstream.seen).to.deep.equal({ connections: 1, requests: 0, upgrades: 1 })
  })

  async function request(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string | Buffer | string[],
  ): Promise<RawResponse> {
    const client = await RawClient.connect(playground.port)
    client.request(method, path, headers, body)
    const response = await client.response()
    client.destroy()
    return response
  }
})
