import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { expect } from 'chai'
import { WebSocket } from 'ws'
import { now } from '../../docs/playground/traces.js'
import { nextLine, requestLines } from '../support/clients/decoded-lines.js'
import { type RawResponse, RawClient } from '../support/clients/raw-client.js'
import { closePlayground, panels, type RunningPlayground, startPlayground } from './playground-page.js'

const megabyte = 1024 * 1024

describe('the playground over the wire', () => {
  let playground: RunningPlayground

  beforeEach(async () => {
    playground = await startPlayground()
  })
  afterEach(() => closePlayground(playground))

  it('serves the page and every file that it names', async () => {
    const html = (await request('GET', '/')).body.toString()
    const files = [...html.matchAll(/(?:src|href)="([^#"]+)"/g)].map(([, file]) => `/${file}`)
    expect(files).to.include.members(['/page/styles/base.css', '/page/main.js', '/icon.svg'])
    for (const file of files) expect(await request('GET', file), file).to.include({ status: 200 })
    const shown = [...html.matchAll(/<section id="(\w+)"/g)].map(([, name]) => name)
    expect(shown).to.deep.equal(panels)
  })

  it('lets the page run only its own scripts and styles', async () => {
    const { headers, body } = await request('GET', '/')
    const [policy = ''] = headers['content-security-policy'] ?? []
    expect(policy.split('; ')).to.include.members([
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
    ])
    expect(policy).not.to.match(/unsafe|https?:|\*/)
    expect(body.toString()).not.to.match(
      /<script(?![^>]* src=)|<style| style=| on\w+=|(?:src|href)="(?:https?:)?\/\//,
    )
  })

  it('delivers the first event through autoFlush before the last is written', async () => {
    const lines = await requestLines(`${playground.listening.url}/events/flushed`)
    expect(lines.response.headers['content-encoding']).to.equal('gzip')
    const arrived: number[] = []
    const written: number[] = []
    for (let event = 0; event < 8; event++) {
      written.push(JSON.parse((await nextLine(lines)).replace('data: ', '')).writtenAt)
      arrived.push(now())
      await nextLine(lines)
    }
    expect(arrived[0]).to.be.below(Number(written.at(-1)))
    expect((await lines.lines.next()).done).to.equal(true)
  })

  it('refuses 8 MB and names the numbers, with a length and in chunks', async () => {
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
    const url = `${playground.listening.url.replace('http', 'ws')}/socket/chat`
    const socket = new WebSocket(url, { headers: { Cookie: 'playground_session=session-of-ada' } })
    await once(socket, 'open')
    socket.send('hello')
    const [data] = await once(socket, 'message')
    expect(String(data)).to.equal('hello')
    socket.close()
    await once(socket, 'close')
    expect(playground.upstream.seen).to.deep.equal({ connections: 1, requests: 0, upgrades: 1 })
  })

  it("refuses a WebSocket that another site's page opens with the cookie", async () => {
    const answer = await request('GET', '/socket/chat', {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'c2x1aWNld2F5IGlzIGZ1bg==',
      Cookie: 'playground_session=session-of-ada',
      Origin: 'http://evil.test',
    })
    expect(answer.status).to.equal(403)
    expect(playground.upstream.seen.upgrades).to.equal(0)
  })

  it('reports the trace of a run only when its connection is closed', async () => {
    const client = await RawClient.connect(playground.listening.port)
    client.write('POST /upload?run=of-this-test HTTP/1.1\r\nHost: test\r\nContent-Length: 2097152\r\n\r\n')
    expect(await client.response()).to.include({ status: 413 })
    const asked = request('GET', '/trace/of-this-test')
    await request('GET', '/trace/clock') // by now the server has the question
    client.destroy()
    const { moments } = JSON.parse((await asked).body.toString())
    expect(moments.map(({ event }: { event: string }) => event)).to.deep.equal([
      'request',
      'refused',
      'answered',
      'closed',
    ])
  })

  it('counts the bytes of the body that a connection brought for one request, and no others', async () => {
    const client = await RawClient.connect(playground.listening.port)
    const small = { 'Content-Type': 'application/octet-stream' }
    client.request('POST', '/upload', small, 'x'.repeat(5000))
    expect(await client.response()).to.include({ status: 201 })
    client.request('POST', '/upload/without?run=of-one-request', small, 'x'.repeat(3000))
    expect(await client.response()).to.include({ status: 201 })
    client.request('GET', '/', {})
    await client.response()
    client.write('POST /upload?run=of-one-request HTTP/1.1\r\nHost: test\r\nContent-Length: 2097152\r\n\r\n')
    client.write('y'.repeat(1000))
    expect(await client.response()).to.include({ status: 413 })
    client.destroy()
    const { moments } = JSON.parse((await request('GET', '/trace/of-one-request')).body.toString())
    const counted = moments.flatMap(({ event, bodyBytes }: { event: string; bodyBytes?: number }) =>
      bodyBytes === undefined ? [] : [`${event} ${bodyBytes}`],
    )
    expect(counted[0]).to.equal('answered 3000')
    expect(counted.at(-1)).to.equal('closed 1000')
  })

  it('remembers the last 50 runs, and says that older ones are forgotten', async () => {
    for (let run = 0; run <= 50; run++) await request('GET', `/proxy/seen?run=number-${run}`)
    expect(await request('GET', '/trace/number-1')).to.include({ status: 200 })
    const forgotten = await request('GET', '/trace/number-0')
    expect(forgotten.status).to.equal(404)
    expect(JSON.parse(forgotten.body.toString())).to.include({ code: 'RUN_UNKNOWN' })
  })

  async function request(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string | Buffer | string[],
  ): Promise<RawResponse> {
    const client = await RawClient.connect(playground.listening.port)
    client.request(method, path, headers, body)
    const response = await client.response()
    client.destroy()
    return response
  }
})
