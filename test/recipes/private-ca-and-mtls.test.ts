import { createServer, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { expect } from 'chai'
import type { Express } from 'express'
import { isSluicewayError, type SluicewayError } from 'sluiceway'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import {
  authority,
  certificate,
  clientCertificate,
  key,
  serverCertificate,
  tlsFile,
} from '../support/servers/tls-certificate.js'

/** Answers with the name of the client's certificate. */
function service(options: ServerOptions): ReturnType<typeof createServer> {
  return createServer({ key, cert: serverCertificate, ca: authority, ...options }, (req, res) => {
    const { subject } = (req.socket as TLSSocket).getPeerCertificate()
    res.end(`${req.url} for ${String(subject?.CN ?? 'nobody')}`)
  })
}

describe('recipe: a private CA and mTLS', () => {
  const settings = {
    UPSTREAM: '',
    UPSTREAM_CA: tlsFile('authority'),
    CLIENT_CERTIFICATE: tlsFile('client-certificate'),
    CLIENT_KEY: tlsFile('key'),
  }
  const errors: SluicewayError[] = []
  let instance = 0

  afterEach(() => {
    for (const name of Object.keys(settings)) delete process.env[name]
    errors.length = 0
  })
  afterEach(closeServers)

  /** The program, as it is started with this environment. */
  async function program(environment: Readonly<Record<string, string>>): Promise<Express> {
    Object.assign(process.env, environment)
    const { app } = (await import(`../../.recipes/private-ca-and-mtls.js?${instance++}`)) as { app: Express }
    app.set('env', 'test')
    app.use((error: unknown, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
      if (isSluicewayError(error)) errors.push(error)
      next(error)
    })
    return app
  }

  async function started(options: ServerOptions): Promise<string> {
    const { port } = await listen(service(options))
    return (await serve(await program({ ...settings, UPSTREAM: `https://localhost:${port}` }))).url
  }

  const asking: ServerOptions = { requestCert: true, rejectUnauthorized: true }

  it('trusts the authority, alone or beside those of Node', async () => {
    const url = await started({})
    expect(await (await fetch(`${url}/public/x`)).text()).to.equal('/x for nobody')
    expect(await (await fetch(`${url}/either/x`)).text()).to.equal('/x for nobody')
  })

  it('shows a certificate only if the program says so, on a connection of its own', async () => {
    const url = await started({ ...asking, rejectUnauthorized: false })
    for (let round = 0; round < 2; round++) {
      expect(await (await fetch(`${url}/public/x`)).text()).to.equal('/x for nobody')
      expect(await (await fetch(`${url}/orders/x`)).text()).to.equal('/x for gateway')
    }
  })

  it('is let in by an upstream that asks for a certificate, and answers 502 without one', async () => {
    const url = await started(asking)
    expect(await (await fetch(`${url}/orders/7`)).text()).to.equal('/7 for gateway')
    expect((await fetch(`${url}/public/7`)).status).to.equal(502)
    expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_RESET')
  })

  for (const [upstream, options, cause] of [
    ['of another authority', { cert: certificate }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['with the certificate of a client', { cert: clientCertificate }, 'INVALID_PURPOSE'],
  ] as const) {
    it(`answers 502 for an upstream ${upstream}`, async () => {
      expect((await fetch(`${await started(options)}/orders/7`)).status).to.equal(502)
      expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE')
      expect(errors[0]?.cause).to.have.property('code', cause)
    })
  }

  for (const missing of Object.keys(settings)) {
    it(`does not start without ${missing}`, async () => {
      const error = await program({ ...settings, UPSTREAM: 'https://localhost', [missing]: '' }).catch(
        (reason: unknown) => reason,
      )
      expect(error).to.have.property('message', `set ${missing}`)
    })
  }
})
