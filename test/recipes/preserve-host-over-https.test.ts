import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { expect } from 'chai'
import express, { type Express } from 'express'
import { type ConnectOptions, passthroughProxy, type SluicewayError } from 'sluiceway'
import { Agent } from 'undici'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen, serve, type TestServer } from '../support/servers/servers.js'
import {
  authority,
  certificate,
  key,
  serverCertificate,
  tlsFile,
} from '../support/servers/tls-certificate.js'

const CLIENT_HOST = 'www.customer.example'

/** Answers with the name in the handshake and the Host. */
function upstreamWith(cert: Buffer): Promise<TestServer<Server>> {
  return listen(
    createServer({ key, cert }, (req, res) => {
      res.end(
        `${String((req.socket as TLSSocket & { servername?: unknown }).servername)} ${req.headers.host}`,
      )
    }),
  )
}

async function ask(port: number, path: string, host: string): Promise<[number, string]> {
  const client = await RawClient.connect(port)
  client.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const { status, body } = await client.response()
  client.destroy()
  return [status, body.toString()]
}

describe('recipe: keep the Host of the client over https', () => {
  describe('the program', () => {
    let port: number

    before(async () => {
      const upstream = await upstreamWith(serverCertificate)
      const environment = {
        UPSTREAM_ADDRESS: '127.0.0.1',
        UPSTREAM_PORT: String(upstream.port),
        UPSTREAM_CA: tlsFile('authority'),
      }
      Object.assign(process.env, environment)
      const { app } = (await import('../../.recipes/preserve-host-over-https.js')) as { app: Express }
      for (const name of Object.keys(environment)) delete process.env[name]
      ;({ port } = await serve(app.set('env', 'test')))
    })
    after(closeServers)

    it('verifies the fixed name, whatever Host goes to the upstream', async () => {
      expect(await ask(port, '/one-certificate/x', CLIENT_HOST)).to.deep.equal([
        200,
        `internal.example ${CLIENT_HOST}`,
      ])
    })

    it('verifies the name of the site', async () => {
      expect(await ask(port, '/', 'shop.example')).to.deep.equal([200, 'shop.example shop.example'])
    })

    it('answers 502 for a site for which the upstream has no certificate, and 421 for another', async () => {
      expect((await ask(port, '/', 'blog.example'))[0]).to.equal(502)
      expect((await ask(port, '/', 'internal.example'))[0]).to.equal(421)
    })
  })

  describe('the table', () => {
    afterEach(closeServers)

    const lookup: ConnectOptions['lookup'] = (_name, { all }, done) =>
      all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)

    /** What an upstream with this certificate sees of a request, or why the proxy does not send it. */
    async function seen(cert: Buffer, host: string, connect: ConnectOptions): Promise<string> {
      const upstream = await upstreamWith(cert)
      const target = `https://${host}:${upstream.port}`
      const proxy = passthroughProxy(target, {
        preserveHost: true,
        connect: { ca: [authority, certificate], lookup, ...connect },
      })
      const app = express().use(proxy)
      app.use((error: SluicewayError, _req: unknown, res: express.Response, _next: unknown) => {
        res.status(error.status).send(String((error.cause as { code?: unknown }).code))
      })
      return (await ask((await serve(app)).port, '/', CLIENT_HOST))[1]
    }

    it('over a dispatcher of undici the Host of the client is verified', async () => {
      const upstream = await upstreamWith(serverCertificate)
      const dispatcher = new Agent({ connect: { ca: authority, lookup } as never })
      const target = `https://internal.example:${upstream.port}`
      const app = express()
        .set('env', 'test')
        .use(passthroughProxy(target, { preserveHost: true, dispatcher }))
      const { port } = await serve(app)
      expect((await ask(port, '/', CLIENT_HOST))[0]).to.equal(502)
      expect(await ask(port, '/', 'shop.example')).to.deep.equal([200, 'shop.example shop.example'])
      await dispatcher.destroy()
    })

    const WRONG_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID'

    it('a name in the target is in the handshake and verified', async () => {
      expect(await seen(serverCertificate, 'internal.example', {})).to.equal(
        `internal.example ${CLIENT_HOST}`,
      )
      expect(await seen(serverCertificate, 'other.example', {})).to.equal(WRONG_NAME)
    })

    it('an address is not in the handshake, and the certificate has to be for it', async () => {
      expect(await seen(certificate, '127.0.0.1', {})).to.equal(`false ${CLIENT_HOST}`)
      expect(await seen(serverCertificate, '127.0.0.1', {})).to.equal(WRONG_NAME)
    })

    it('servername takes its place', async () => {
      const connect = { servername: 'internal.example' }
      expect(await seen(serverCertificate, '127.0.0.1', connect)).to.equal(`internal.example ${CLIENT_HOST}`)
      expect(await seen(certificate, '127.0.0.1', connect)).to.equal(WRONG_NAME)
    })
  })
})
