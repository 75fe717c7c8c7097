import { createServer, type RequestListener } from 'node:http'
import https from 'node:https'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { expect } from 'chai'
import { passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { hosts } from '../../support/express/hosts.js'
import { emptyDirectory, removeDirectories } from '../../support/process/temporary-files.js'
import { unmarked } from '../../support/servers/proxied.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'

const SPOOFED = [
  'X-Forwarded-For: 6.6.6.6',
  'X-Forwarded-Host: evil.example',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Port: 443',
  'Forwarded: for=6.6.6.6',
  'X_Forwarded_For: 6.6.6.6',
  'x-forwarded_for: 6.6.6.6',
]
const OWN = ['X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Host: test', 'X-Forwarded-Proto: http']

for (const { name, express } of expressVersions) {
  async function seen(
    lines: readonly string[],
    forwarded: PassthroughProxyOptions['forwarded'],
    trust?: unknown,
  ): Promise<string[]> {
    const upstream = await scriptedUpstream()
    const app = express()
    if (trust !== undefined) app.set('trust proxy', trust)
    app.use(passthroughProxy(upstream.url, { forwarded }))
    const client = await RawClient.connect((await serve(app)).port)
    client.write(`GET / HTTP/1.1\r\n${['Host: test', ...lines].join('\r\n')}\r\n\r\n`)
    const head = await (await upstream.connection()).untilText('\r\n\r\n')
    return unmarked(head.trimEnd().split('\r\n').slice(3))
  }

  describe(`passthroughProxy and forwarded headers (${name})`, () => {
    afterEach(closeServers)

    for (const [mode, trust, expected] of [
      ['auto', undefined, OWN],
      ['auto', 'loopback', undefined],
      ['auto', '10.0.0.0/8', OWN],
      ['append', undefined, undefined],
      ['replace', 'loopback', OWN],
      [false, undefined, SPOOFED],
    ] as const) {
      it(`${String(mode)}, trust proxy ${String(trust)}: the client's values are ${expected === OWN ? 'replaced' : 'kept'}`, async () => {
        const appended = [...SPOOFED.slice(1), 'X-Forwarded-For: 6.6.6.6, 127.0.0.1']
        expect(await seen(SPOOFED, mode, trust)).to.deep.equal(expected ?? appended)
      })
    }

    for (const mode of ['auto', 'append', 'replace'] as const) {
      it(`${mode}: names a client that sends none`, async () => {
        expect(await seen([], mode)).to.deep.equal(OWN)
      })
    }

    it('auto: joins several lines of a trusted proxy', async () => {
      const lines = await seen(['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-For: 2.2.2.2'], 'auto', true)
      expect(lines).to.include('X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1')
      expect(lines).to.have.length(3)
    })

    it('false: adds nothing', async () => {
      expect(await seen([], false)).to.deep.equal([])
    })
  })
}

const hasIPv6 = Object.values(os.networkInterfaces())
  .flat()
  .some((one) => one?.family === 'IPv6')

/** Ways to start a server and connect to it. */
const ways: Readonly<Record<string, (app: RequestListener) => Promise<RawClient>>> = {
  'a Unix socket': async (app) => {
    const socket = path.join(emptyDirectory(), 'socket')
    await listen(createServer(app), { path: socket })
    return RawClient.over(net.connect(socket))
  },
  'IPv4 to a server of both': async (app) => {
    const { port } = await listen(createServer(app), { port: 0, host: '::' })
    return RawClient.connect(port)
  },
  TLS: async (app) => {
    const { port } = await listen(https.createServer({ key, cert: certificate }, app))
    return RawClient.over(tls.connect({ port, host: '127.0.0.1', ca: certificate }))
  },
  TCP: async (app) => RawClient.connect((await serve(app)).port),
}

for (const { name, mount } of hosts) {
  describe(`passthroughProxy and forwarded headers, however a client connects (${name})`, () => {
    afterEach(closeServers)
    afterEach(removeDirectories)

    for (const [way, version, said, forwarded, expected] of [
      ['a Unix socket', '1.1', [], 'auto', ['X-Forwarded-Host: test', 'X-Forwarded-Proto: http']],
      [
        'a Unix socket',
        '1.1',
        ['X-Forwarded-For: 6.6.6.6'],
        'append',
        ['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Host: test', 'X-Forwarded-Proto: http'],
      ],
      [
        'a Unix socket',
        '1.1',
        ['X-Forwarded-Proto: https'],
        'append',
        ['X-Forwarded-Proto: https', 'X-Forwarded-Host: test'],
      ],
      ['IPv4 to a server of both', '1.1', [], 'auto', OWN],
      ['TLS', '1.1', [], 'auto', [OWN[0], OWN[1], 'X-Forwarded-Proto: https']],
      ['TCP', '1.0', [], 'auto', [OWN[0], OWN[2]]],
      ['TCP', '1.0', ['X-Forwarded-Port: 80'], 'append', ['X-Forwarded-Port: 80', OWN[0], OWN[2]]],
      // Nobody has said whom to trust.
      ['TCP', '1.1', SPOOFED, 'auto', OWN],
    ] as const) {
      it(`${forwarded}, by ${way} and HTTP/${version}, names the client${said.length > 0 ? ` that sends ${said[0]}` : ''}`, async function () {
        if (way === 'IPv4 to a server of both' && !hasIPv6) {
          console.log('      skipped: this machine has no IPv6')
          this.skip()
        }
        const upstream = await scriptedUpstream()
        const client = await ways[way]!(mount(passthroughProxy(upstream.url, { forwarded })))
        const lines = version === '1.0' ? said : ['Host: test', ...said]
        client.write(`${[`GET / HTTP/${version}`, ...lines].join('\r\n')}\r\n\r\n`)
        const head = await (await upstream.connection()).untilText('\r\n\r\n')
        expect(unmarked(head.trimEnd().split('\r\n').slice(3))).to.deep.equal(expected)
        client.destroy()
      })
    }
  })
}
