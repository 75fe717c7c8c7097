import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { expect } from 'chai'
import { bodyCache, passthroughProxy, type SluicewayError } from 'sluiceway'
import { Agent, type buildConnector } from 'undici'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { certificate, expiredCertificate, key } from '../support/servers/tls-certificate.js'

type Connect = buildConnector.BuildOptions & Pick<tls.ConnectionOptions, 'lookup'>

/** Upstreams that cannot be reached, and the error of the system or of OpenSSL. */
interface Fault {
  readonly start: () => Promise<{ url: string; connect?: Connect }>
  readonly cause: RegExp
  readonly message?: RegExp
}

/** A TLS server that a proxy is told to trust. */
async function secure(
  options: tls.TlsOptions,
  connect: Connect = {},
): Promise<{ url: string; connect: Connect }> {
  const { port } = await listen(
    https.createServer({ key, cert: certificate, ...options }, (_req, res) => res.end()),
  )
  return { url: `https://127.0.0.1:${port}`, connect: { ca: [certificate, expiredCertificate], ...connect } }
}

/** A server that calls `greet` with each connection, where the proxy expects TLS. */
async function insecure(greet: (socket: net.Socket) => void): Promise<{ url: string }> {
  const { port } = await listen(
    net.createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => greet(socket))
    }),
  )
  return { url: `https://127.0.0.1:${port}` }
}

/** A name server that fails. */
function failingLookup(code: string): net.LookupFunction {
  return (_name, _options, callback) => callback(Object.assign(new Error(code), { code }), '', 4)
}

const faults: Record<string, Fault> = {
  'an unknown name': {
    start: () => Promise.resolve({ url: 'http://nowhere.invalid' }),
    cause: /^(?:ENOTFOUND|EAI_AGAIN)$/,
  },
  'a name that is not there (ENOTFOUND)': {
    start: () => Promise.resolve({ url: 'http://upstream', connect: { lookup: failingLookup('ENOTFOUND') } }),
    cause: /^ENOTFOUND$/,
  },
  'a name server that is away (EAI_AGAIN)': {
    start: () => Promise.resolve({ url: 'http://upstream', connect: { lookup: failingLookup('EAI_AGAIN') } }),
    cause: /^EAI_AGAIN$/,
  },
  'a certificate that is not trusted': {
    start: () => secure({}, { ca: [] }),
    cause: /^DEPTH_ZERO_SELF_SIGNED_CERT$/,
    message: /give its authority/,
  },
  'an expired certificate': {
    start: () => secure({ cert: expiredCertificate }),
    cause: /^CERT_HAS_EXPIRED$/,
    message: /expired/,
  },
  'a certificate of another host': {
    start: () => secure({}, { servername: 'other.example' }),
    cause: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    message: /another host/,
  },
  'no common version of TLS': {
    start: () => secure({ maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3' }),
    cause: /^ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION$/,
  },
  'HTTP where TLS is expected': {
    start: () => insecure((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    cause: /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/,
  },
  'an end in the handshake': { start: () => insecure((socket) => socket.end()), cause: /^ECONNRESET$/ },
  'a reset in the handshake': {
    start: () => insecure((socket) => socket.resetAndDestroy()),
    cause: /^ECONNRESET$/,
  },
}

for (const { name, mount } of hosts) {
  describe(`passthroughProxy that cannot reach its upstream (${name})`, () => {
    afterEach(closeServers)

    for (const [what, { start, cause, message }] of Object.entries(faults)) {
      it(`answers 502 for ${what}, to each of several requests on one connection`, async () => {
        const { url, connect = {} } = await start()
        const dispatcher = new Agent({ connect })
        const proxy = passthroughProxy(url, { dispatcher })
        const errors: SluicewayError[] = []
        const noted: Handler = (req, res, next) =>
          proxy(req, res, (error) => {
            errors.push(error as SluicewayError)
            next(error)
          })
        const { port } = await listen(
          https.createServer({ key, cert: certificate }, mount(bodyCache(), noted)),
        )
        const client = RawClient.over(tls.connect({ port, host: '127.0.0.1', ca: certificate }))
        for (const body of [undefined, 'body', ['in', 'chunks']]) {
          client.request(body === undefined ? 'GET' : 'POST', '/', {}, body)
          const { status, headers } = await client.response()
          expect([status, headers['connection']]).to.deep.equal([502, ['keep-alive']])
        }
        expect(errors).to.have.length(3)
        for (const error of errors) {
          expect(error).to.include({ code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE', expose: false })
          expect((error.cause as NodeJS.ErrnoException).code).to.match(cause)
          if (message !== undefined) expect(error.message).to.match(message)
        }
        client.destroy()
        await dispatcher.destroy()
      })
    }
  })
}
