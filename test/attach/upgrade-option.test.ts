import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { upgradeTo } from '../support/clients/pipelined.js'
import { Observer } from '../support/observed.js'
import { answered, apps, closeAll, expectOwn404, open, others, own, type Step } from './neighbors.js'

describe('attach with the option "upgrade"', () => {
  afterEach(closeAll)

  const chain = apps['Express 5']!
  const takesAll: Step = (_req, res) => {
    res.writeHead(101, { Upgrade: 'websocket', Connection: 'Upgrade', 'X-By': 'app' }).flushHeaders()
  }
  const upgrade = ({ url }: IncomingMessage): boolean => url === '/app'

  for (const [name, build] of Object.entries(apps)) {
    it(`gives each its own upgrades if both would take them: ${name}`, async () => {
      const seen = []
      for (const path of ['/app', '/other']) {
        const client = await open(build(takesAll), [others['ws with { server }']!], { upgrade })
        seen.push(await answered(client, path))
        client.destroy()
      }
      expect(seen).to.deep.equal(['app', 'ws'])
    })
  }

  it("answers an upgrade of the app that no handler takes with the app's own 404", async () => {
    const client = await open(chain(), [others['ws with { server }']!], { upgrade })
    expect(await answered(client, '/app')).to.equal('404')
    await client.closed()
  })

  it('does not show the app upgrades that are not its own', async () => {
    let asked = 0
    const app = chain((_req, _res, next) => next(++asked && undefined))
    const client = await open(app, [others['ws with { server }']!], { upgrade })
    expect(await answered(client, '/other')).to.equal('ws')
    expect(asked).to.equal(0)
    client.destroy()
  })

  it('serves another upgrade as a plain request if there is no other listener', async () => {
    const app = chain((req, res) => {
      const { upgrade: asksFor } = req as IncomingMessage & { upgrade: boolean }
      res.end(`${asksFor} ${req.headers.upgrade}`)
    })
    const client = await open(app, [], { upgrade })
    client.write(upgradeTo('websocket', '/other'))
    expect(String((await client.response()).body)).to.equal('false undefined')
  })

  it("has the app's own 404 for such a request too", async () => {
    expect(await answered(await open(chain(), [], { upgrade }), '/other')).to.equal('404')
  })

  it("has the app's own 404 if all of the others ignore an upgrade", async () => {
    await expectOwn404(chain(own), { upgrade })
  })

  for (const [name, build] of Object.entries(apps)) {
    it(`answers with the app's page for the error if it throws: ${name}`, async () => {
      const observer = new Observer()
      const contained = observer.messages('sluiceway:contained')
      const client = await open(build(own), [others['ws with { server }']!], {
        upgrade: () => {
          throw new Error('oops')
        },
      })
      expect(await answered(client, '/app')).to.equal('500')
      await client.closed()
      observer.end()
      expect(contained.map(({ error }) => String(error))).to.deep.equal(['Error: oops'])
    })
  }
})
