import { once } from 'node:events'
import { IncomingMessage, ServerResponse, type IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { maxBytes, passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve, type TestServer } from '../../support/servers/servers.js'

/** The request that a function adapter makes from an event. */
interface Event {
  readonly method?: string
  readonly url?: string
  readonly headers?: IncomingHttpHeaders | Record<string, unknown>
  readonly body?: string | Buffer | undefined
  /** How the body comes: when it is read, as with serverless-http, or pushed before. */
  readonly pushed?: 'when read' | 'before' | 'later'
  readonly complete?: boolean
  readonly rawHeaders?: readonly string[]
  readonly socket?: object
}

interface Result {
  readonly status: number
  readonly text: string
}

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const BODY = '{"a" : "\u00fc"}'
const LENGTH = String(Buffer.byteLength(BODY))

function requestOf(event: Event): IncomingMessage {
  const { socket = Object.assign(new PassThrough(), { encrypted: true, remoteAddress: '10.0.0.1' }) } = event
  const { method = 'POST', url = '/x', headers = {}, body, pushed = 'when read', complete = true } = event
  const req = new IncomingMessage(socket as Socket)
  Object.assign(req, { method, url, headers, complete, httpVersionMajor: '1', httpVersionMinor: '1' })
  if (event.rawHeaders !== undefined) req.rawHeaders = [...event.rawHeaders]
  const deliver = (): void => {
    if (body !== undefined) req.push(body)
    req.push(null)
  }
  if (pushed === 'when read') req._read = deliver
  else if (pushed === 'before') deliver()
  else setImmediate(deliver)
  return req
}

for (const { name, mount } of hosts) {
  describe(`passthroughProxy in a function adapter (${name})`, () => {
    const seen: Seen[] = []
    let upstream: TestServer

    beforeEach(async () => {
      seen.length = 0
      upstream = await serve((req, res) => {
        const whole = (body: string): void => {
          seen.push({ method: req.method!, url: req.url!, headers: req.headers as Seen['headers'], body })
          res.end('done')
        }
        text(req).then(whole, () => {})
      })
    })
    afterEach(closeServers)

    /** Hands an event to an app with a proxy, as an adapter does. */
    async function invoke(
      event: Event,
      options: PassthroughProxyOptions = {},
      ...before: readonly Handler[]
    ): Promise<Result & { readonly error: SluicewayError | undefined }> {
      let error: SluicewayError | undefined
      const proxy = passthroughProxy(upstream.url, options)
      const watched: Handler = (req, res, next) => {
        proxy(req, res, (failure) => {
          error = failure as SluicewayError
          next(failure)
        })
      }
      const req = requestOf(event)
      // serverless-http gives Node's own state an empty head before any is written.
      const res = Object.assign(new ServerResponse(req), { _header: '' })
      let written = ''
      const output = new PassThrough().on('data', (chunk: Buffer) => {
        written += String(chunk)
      })
      res.assignSocket(output as unknown as Socket)
      await new Promise<void>((resolve) => {
        res.on('finish', () => setImmediate(resolve))
        mount(...before, watched)(req, res)
      })
      return { status: res.statusCode, text: written.slice(written.indexOf('\r\n\r\n') + 4), error }
    }

    it('keeps no connection for a login if the host uses a plain object as the connection', async () => {
      const server = await serve((_req, res) => {
        res.writeHead(401, { 'WWW-Authenticate': 'Negotiate', 'Content-Length': 6 }).end('log in')
      })
      upstream = server
      const socket = { remoteAddress: '10.0.0.1', encrypted: true, destroyed: false }
      const { status, text: body } = await invoke({ method: 'GET', headers: { host: 'h' }, socket })
      expect([status, body]).to.deep.equal([401, 'log in'])
      const [connection] = server.connections
      if (connection?.closed === false) await once(connection, 'close')
    })

    for (const pushed of ['when read', 'before', 'later'] as const) {
      for (const body of [BODY, Buffer.from(BODY)]) {
        const kind = typeof body === 'string' ? 'a string' : 'bytes'
        it(`sends on a body with a length that comes ${pushed} as ${kind}, and every header`, async () => {
          const headers = {
            host: 'h',
            'content-length': LENGTH,
            'content-type': 'application/json',
            cookie: 'a=1',
          }
          expect((await invoke({ headers, body, pushed })).status).to.equal(200)
          expect(seen[0]).to.include({ method: 'POST', url: '/x', body: BODY })
          expect(seen[0]!.headers).to.include({
            'content-length': LENGTH,
            'content-type': 'application/json',
            cookie: 'a=1',
            'x-forwarded-for': '10.0.0.1',
            'x-forwarded-host': 'h',
            'x-forwarded-proto': 'https',
          })
        })

        it(`sends on an unannounced body that comes ${pushed} as ${kind}, in chunks`, async () => {
          // A GET that is complete and is not read by the host's own means has none.
          const second = pushed === 'later' ? 'PUT' : 'GET'
          for (const method of ['POST', second]) {
            expect((await invoke({ method, headers: { host: 'h' }, body, pushed })).status).to.equal(200)
          }
          expect(seen.map(({ body: got }) => got)).to.deep.equal([BODY, BODY])
          expect(seen[0]!.headers).to.include({ 'transfer-encoding': 'chunked' })
        })
      }

      it(`sends no body if none is announced and none comes ${pushed}`, async () => {
        for (const method of ['GET', 'POST']) {
          for (const complete of [true, false]) {
            expect((await invoke({ method, headers: { host: 'h' }, pushed, complete })).status).to.equal(200)
          }
        }
        expect(seen.map(({ method, body }) => method + body)).to.deep.equal(['GET', 'GET', 'POST', 'POST'])
        for (const { headers } of seen) expect(headers).not.to.have.property('transfer-encoding')
      })
    }

    it('sends on an unannounced body through a hook, and behind maxBytes', async () => {
      const onRequest: PassthroughProxyOptions['onRequest'] = ({ headers }) => headers.set('X-Hook', '1')
      await invoke({ headers: {}, body: BODY }, { onRequest })
      await invoke({ headers: {}, body: BODY }, {}, maxBytes('1mb'))
      expect(seen.map(({ body }) => body)).to.deep.equal([BODY, BODY])
      expect(seen[0]!.headers).to.include({ 'x-hook': '1' })
    })

    it('reads numbers, lists and capital letters in headers, as adapters supply them', async () => {
      const headers = { 'Content-Length': Buffer.byteLength(BODY), 'X-List': ['1', '2'], Host: 'h' }
      expect((await invoke({ headers, body: BODY })).status).to.equal(200)
      expect(seen[0]!.headers).to.include({
        'content-length': LENGTH,
        'x-list': '1, 2',
        'x-forwarded-host': 'h',
      })
      expect(seen[0]!.body).to.equal(BODY)
    })

    it('sends no body if an empty one has ended before, read or not', async () => {
      const waiting: Handler = (_req, _res, next) => void setImmediate(next)
      const reading: Handler = (req, _res, next) => {
        req.on('end', () => next()).resume()
      }
      for (const before of [waiting, reading]) {
        expect((await invoke({ headers: {}, pushed: 'before' }, {}, before)).status).to.equal(200)
      }
      expect(seen.map(({ headers }) => headers['transfer-encoding'])).to.deep.equal([undefined, undefined])
    })

    it('uses the length in the raw lines, even if the application changes it', async () => {
      const rawHeaders = ['Host', 'h', 'Content-Length', LENGTH]
      const headers = { host: 'h', 'content-length': '3', 'transfer-encoding': 'chunked' }
      expect((await invoke({ rawHeaders, headers, body: BODY })).status).to.equal(200)
      expect(seen[0]!.headers)
        .to.include({ 'content-length': LENGTH })
        .and.not.have.property('transfer-encoding')
    })

    it('uses the length in the headers if the raw lines have none', async () => {
      const rawHeaders = ['Host', 'h', 'X-A', '1']
      const headers = { host: 'h', 'x-a': '1', 'content-length': LENGTH }
      expect((await invoke({ rawHeaders, headers, body: BODY })).status).to.equal(200)
      expect(seen[0]).to.include({ body: BODY })
    })

    it('does not believe the identity that a client claims', async () => {
      await invoke({ headers: { 'x-real-ip': '6.6.6.6', 'x-forwarded-for': '6.6.6.6' } })
      expect(seen[0]!.headers).not.to.have.property('x-real-ip')
      expect(seen[0]!.headers).to.include({ 'x-forwarded-for': '10.0.0.1' })
    })

    it('names no client if there is no address', async () => {
      await invoke({ headers: {}, socket: Object.assign(new PassThrough(), { remoteAddress: '' }) })
      expect(seen[0]!.headers)
        .to.include({ 'x-forwarded-proto': 'http' })
        .and.not.have.property('x-forwarded-for')
    })

    it('refuses a body that was read already, announced or not', async () => {
      const read: Handler = (req, _res, next) => {
        req.on('end', () => next()).resume()
      }
      for (const headers of [{ 'content-length': LENGTH }, {}]) {
        const { status, error } = await invoke({ headers, body: BODY }, {}, read)
        expect([status, error?.code]).to.deep.equal([500, 'ERR_SLUICEWAY_BODY_ALREADY_READ'])
      }
      expect(seen).to.deep.equal([])
    })

    it('refuses a body that is shorter or longer than announced', async () => {
      for (const length of ['3', '100']) {
        const { status, error } = await invoke({ headers: { 'content-length': length }, body: BODY })
        expect([status, error?.code]).to.deep.equal([400, 'ERR_SLUICEWAY_PROXY_BAD_REQUEST'])
      }
      expect(seen).to.deep.equal([])
    })

    it('reports a body that fails before its first byte', async () => {
      const failing: Handler = (req, _res, next) => {
        req._read = () => void req.destroy(new Error('no disk'))
        next()
      }
      const { status, error } = await invoke({ headers: {} }, {}, failing)
      expect([status, error?.message]).to.deep.equal([500, 'no disk'])
    })
  })
}
