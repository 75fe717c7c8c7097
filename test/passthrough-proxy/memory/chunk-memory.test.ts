import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { request, type IncomingMessage, type RequestListener } from 'node:http'
import https from 'node:https'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'

const MB = 1024 * 1024
const LENGTH = 32 * MB
/** Measured: up to 1.4 MB; left to the garbage collector, 6 to 33 MB. */
const MOST = 3 * MB

const ways: Readonly<Record<string, { path: string; isChunked?: true; isSecure?: true }>> = {
  'an upload': { path: '/' },
  'an upload in chunks': { path: '/', isChunked: true },
  'an upload to a slow upstream': { path: '/slow' },
  'an upload behind maxBytes': { path: '/limited' },
  'an upload over TLS': { path: '/', isSecure: true },
  'an upload to an upstream over TLS': { path: '/secure' },
}

/** Those whose body is thrown away, and their answers. */
const rests: Readonly<Record<string, { path: string; status: number }>> = {
  'the rest of an upload that maxBytes has refused': { path: '/refused', status: 413 },
  'an upload that cannot be passed on': { path: '/failed', status: 502 },
}

const block = Buffer.alloc(256 * 1024, 'block')

function* blocks(): Generator<Buffer> {
  for (let sent = 0; sent < LENGTH; sent += block.length) yield block
}

/** An upstream that lets the proxy wait now and then. */
const count: RequestListener = (req, res) => {
  let received = 0
  req.on('data', ({ length }: Buffer) => {
    received += length
    if (req.url !== '/slow' || received % (2 * MB) > 64 * 1024) return
    req.pause()
    setTimeout(() => req.resume(), 5)
  })
  req.on('end', () => res.end(String(received)))
}

describe('the memory of the chunks of a body', () => {
  let child: ChildProcess
  let ports: readonly number[]

  before(async () => {
    const upstream = await serve(count)
    const secure = await listen(https.createServer({ key, cert: certificate }, count))
    const file = fileURLToPath(new URL('chunk-memory-server.js', import.meta.url))
    child = fork(file, [upstream.url, `https://localhost:${secure.port}`], { execArgv: [] })
    ;[ports] = await once(child, 'message')
  })
  after(async () => {
    child.disconnect()
    await once(child, 'exit')
    await closeServers()
  })

  async function peak(): Promise<number> {
    child.send('peak')
    const [bytes] = (await once(child, 'message')) as [number]
    return bytes
  }

  function open({ path, isChunked, isSecure }: (typeof ways)[string]): ReturnType<typeof request> {
    const headers = isChunked ? {} : { 'Content-Length': LENGTH }
    const [plain, secure] = ports
    const options = { method: 'POST', agent: false, path, headers }
    if (isSecure) return https.request({ ...options, port: secure, ca: certificate })
    return request({ ...options, port: plain })
  }

  for (const [what, way] of Object.entries(ways)) {
    it(`is given back as soon as they are used: ${what}`, async () => {
      await peak()
      const sending = open(way)
      Readable.from(blocks(), { objectMode: false }).pipe(sending)
      const [response] = (await once(sending, 'response')) as [IncomingMessage]
      expect(await text(response)).to.equal(String(LENGTH))
      expect(await peak()).to.be.below(MOST)
    })
  }

  for (const [what, { path, status }] of Object.entries(rests)) {
    it(`is given back as soon as they are used: ${what}`, async () => {
      await peak()
      const client = connect({ port: ports[0]!, host: '127.0.0.1', allowHalfOpen: true })
      client.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${LENGTH}\r\n\r\n`)
      Readable.from(blocks(), { objectMode: false }).pipe(client)
      const answer: Buffer[] = []
      client.on('data', (chunk: Buffer) => answer.push(chunk)).on('error', () => {})
      await new Promise((resolve) => void client.on('close', resolve))
      expect(String(answer[0])).to.match(new RegExp(`^HTTP/1.1 ${status} `))
      expect(await peak()).to.be.below(MOST)
    })
  }
})
