import { expect } from 'chai'
import { passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'

import { expressVersions } from '../support/express-versions.js'
import { RawClient } from '../support/raw-client.js'
import { scriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

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
    return head.trimEnd().split('\r\n').slice(3)
  }

  describe(`passthroughProxy forwarded headers (${name})`, () => {
    afterEach(closeServers)

    for (const [mode, trust, expected] of [
      ['auto', undefined, OWN],
      ['auto', 'loopback', undefined],
      ['auto', '10.0.0.0/8', OWN],
      ['append', undefined, undefined],
      ['replace', 'loopback', OWN],
      [false, undefined, SPOOFED],
    ] as const) {
      it(`${String(mode)}, trust proxy ${String(trust)}: what a client says is ${expected === OWN ? 'replaced' : 'kept'}`, async () => {
        const appended = [...SPOOFED.slice(1), 'X-Forwarded-For: 6.6.6.6, 127.0.0.1']
        expect(await seen(SPOOFED, mode, trust)).to.deep.equal(expected ?? appended)
      })
    }

    for (const mode of ['auto', 'append', 'replace'] as const) {
      it(`${mode}: a client that says nothing is named`, async () => {
        expect(await seen([], mode)).to.deep.equal(OWN)
      })
    }

    it('joins several lines of a trusted proxy', async () => {
      const lines = await seen(['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-For: 2.2.2.2'], 'auto', true)
      expect(lines).to.include('X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1')
      expect(lines).to.have.length(3)
    })

    it('false: says nothing', async () => {
      expect(await seen([], false)).to.deep.equal([])
    })
  })
}
