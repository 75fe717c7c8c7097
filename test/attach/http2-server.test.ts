import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import http2 from 'node:http2'
import { text } from 'node:stream/consumers'
import tls from 'node:tls'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { kinds, message, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closed } from '../support/process/open-resources.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { certificate, key } from '../support/servers/tls-certificate.js'

describe('attach to a server that speaks HTTP/2 and HTTP/1.1', () => {
  let port: number

  const app: RequestListener = (req, res) => {
    void text(req).then((body) => res.end(`${req.url} ${body}`))
  }

  beforeEach(async () => {
    const server = http2.createSecureServer({ allowHTTP1: true, key, cert: certificate }, app as never)
    attach(server, app)
    ;({ port } = await listen(server))
  })
  afterEach(closeServers)

  it('answers messages over HTTP/1.1 in order', async () => {
    const socket = tls.connect({
      port,
      ca: certificate,
      servername: 'localhost',
      ALPNProtocols: ['http/1.1'],
    })
    const client = RawClient.over(socket)
    await once(socket, 'secureConnect')
    client.write(kinds['chunked']!('/1'), message('GET /2 HTTP/1.1', 'Host: test'))
    for (const answer of ['/1 abc', '/2 ']) expect(String((await client.response()).body)).to.equal(answer)
    client.destroy()
  })

  it('accepts an upgrade over HTTP/1.1', async () => {
    const socket = tls.connect({
      port,
      ca: certificate,
      servername: 'localhost',
      ALPNProtocols: ['http/1.1'],
    })
    const client = RawClient.over(socket)
    await once(socket, 'secureConnect')
    client.write(upgradeTo('websocket', '/ws'))
    const { headers, body } = await client.response()
    expect(String(body)).to.equal('/ws ')
    expect(headers['connection']).to.deep.equal(['close'])
    await client.closed()
  })

  it('invites a body over HTTP/2', async () => {
    const session = http2.connect(`https://localhost:${port}`, { ca: certificate })
    const stream = session.request({ ':method': 'POST', ':path': '/up', expect: '100-continue' })
    await once(stream, 'continue')
    stream.end('body')
    expect(await text(stream)).to.equal('/up body')
    session.close()
    await once(session, 'close')
  })

  it('resets the stream of an app that throws behind Expect over HTTP/2, and no other', async () => {
    const broken: RequestListener = (req, res) => {
      if (req.url !== '/broken') return void res.end('whole')
      res.writeHead(200)
      res.write('a part')
      throw new Error('the app is broken')
    }
    const server = http2.createSecureServer({ allowHTTP1: true, key, cert: certificate }, broken as never)
    attach(server, broken)
    const session = http2.connect(`https://localhost:${(await listen(server)).port}`, { ca: certificate })
    const stream = session.request({ ':method': 'POST', ':path': '/broken', expect: '100-continue' })
    stream.on('error', () => {}).resume()
    await closed(stream)
    expect(stream.rstCode).to.equal(http2.constants.NGHTTP2_INTERNAL_ERROR)
    expect(await text(session.request({ ':path': '/' }))).to.equal('whole')
    session.close()
  })
})
