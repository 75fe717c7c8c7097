import { expect } from 'chai'
import type { PassthroughProxyOptions } from 'sluiceway'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied, request, unmarked } from '../../support/servers/proxied.js'
import { closeServers } from '../../support/servers/servers.js'

/** Lines from which some upstream would learn the identity of the client, or the way it came. */
const TOLD = [
  'X-Forwarded-Prefix: /evil',
  'X-Forwarded-Ssl: on',
  'X-Forwarded-Server: evil',
  'X-Forwarded-Scheme: https',
  'X-Forwarded-Protocol: ssl',
  'X-Forwarded-Uri: /admin',
  'X-Forwarded-Method: GET',
  'X-Forwarded-User: root',
  'X-Forwarded-Client-Cert: Hash=0',
  'X-Forwarded-Tls-Client-Cert: x',
  'X-Real-IP: 6.6.6.6',
]

/** The same lines in spellings that servers turn into the same variable names. */
const SPELT = TOLD.flatMap((line) => {
  const [name, value] = line.split(': ') as [string, string]
  const names = ['_', '.'].map((character) => name.replaceAll('-', character))
  return [...names, name.replace('-', '_'), name.toUpperCase(), name.toLowerCase()].map(
    (spelling) => `${spelling}: ${value}`,
  )
})

/** Headers with similar names. */
const OTHERS = [
  'X-Forward: 1',
  'XForwarded-For: 1',
  'X-Forwardedness: 1',
  'X-Really-IP: 1',
  'X-Real-IP-Range: 1',
  'Forwarded-For: 1',
  'Forwarders: 1',
  'Y-Forwarded-For: 1',
]

const OWN = ['X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Host: test', 'X-Forwarded-Proto: http']

for (const { name, express } of expressVersions) {
  interface Asked {
    readonly forwarded?: PassthroughProxyOptions['forwarded']
    readonly trust?: unknown
    readonly set?: Readonly<Record<string, string | undefined>>
  }

  async function seen(
    lines: readonly string[],
    { forwarded, trust, set = {} }: Asked = {},
  ): Promise<string[]> {
    const { exchange, client } = await proxied({
      express,
      forwarded,
      prepare(app) {
        if (trust !== undefined) app.set('trust proxy', trust)
        app.use((req, _res, next) => {
          Object.assign(req.headers, set)
          next()
        })
      },
    })
    const { seen: head } = await exchange(request('GET', '/', ...lines))
    client.destroy()
    return unmarked(head.trimEnd().split('\r\n').slice(3))
  }

  describe(`passthroughProxy and the identity that a client claims (${name})`, () => {
    afterEach(closeServers)

    for (const [mode, trust, isKept] of [
      ['auto', undefined, false],
      ['auto', '10.0.0.0/8', false],
      ['auto', 'loopback', true],
      ['replace', 'loopback', false],
      ['append', undefined, true],
    ] as const) {
      it(`${mode}, trust proxy ${trust}: is ${isKept ? 'kept' : 'removed'}, in every spelling`, async () => {
        for (const told of [TOLD, SPELT.slice(0, SPELT.length / 2), SPELT.slice(SPELT.length / 2)]) {
          const lines = await seen(told, { forwarded: mode, trust })
          expect(lines).to.deep.equal(isKept ? [...told, ...OWN] : OWN)
        }
      })
    }

    it('false: is passed on unchanged', async () => {
      expect(await seen(TOLD, { forwarded: false })).to.deep.equal(TOLD)
    })

    it('keeps headers with similar names', async () => {
      expect(await seen(OTHERS)).to.deep.equal([...OTHERS, ...OWN])
    })

    it('is removed in every spelling of a name that the application has set', async () => {
      const set = { 'x-forwarded-user': 'alice', 'x-forwarded-prefix': '/api', 'x-real-ip': '7.7.7.7' }
      const lines = await seen(['X_Forwarded_User: root', 'X-Forwarded-User: root', 'X-Real_IP: 6.6.6.6'], {
        set,
      })
      expect(lines).to.deep.equal([
        'X-Forwarded-User: alice',
        'x-forwarded-prefix: /api',
        'x-real-ip: 7.7.7.7',
        ...OWN,
      ])
    })

    for (const mode of ['auto', 'replace'] as const) {
      it(`${mode}: the identity that this proxy adds is that of this connection, even if the application has set another`, async () => {
        const set = {
          'x-forwarded-for': '7.7.7.7',
          'x-forwarded-proto': 'https',
          'x-forwarded-host': 'set.example',
          'x-forwarded-port': '443',
          forwarded: 'for=7.7.7.7',
        }
        // Nor does it depend on whether the client happens to say the same.
        expect(await seen(['X-Forwarded-Proto: https'], { forwarded: mode, set })).to.deep.equal(OWN)
        expect(await seen([], { forwarded: mode, set })).to.deep.equal(OWN)
      })
    }

    it('append: the address is appended to a value that the application has set, but not to one that it has removed', async () => {
      const set = { 'x-forwarded-for': '7.7.7.7', 'x-forwarded-proto': 'https' }
      expect(await seen(['X-Forwarded-For: 6.6.6.6'], { forwarded: 'append', set })).to.deep.equal([
        'x-forwarded-proto: https',
        'X-Forwarded-For: 7.7.7.7, 127.0.0.1',
        'X-Forwarded-Host: test',
      ])
      const gone = { 'x-forwarded-for': undefined }
      expect(await seen(['X-Forwarded-For: 6.6.6.6'], { forwarded: 'append', set: gone })).to.deep.equal(OWN)
    })

    it('false: the value of the application is sent', async () => {
      const set = { 'x-forwarded-proto': 'https' }
      expect(await seen(['X-Forwarded-For: 6.6.6.6'], { forwarded: false, set })).to.deep.equal([
        'X-Forwarded-For: 6.6.6.6',
        'x-forwarded-proto: https',
      ])
    })
  })
}
