import { createServer, type RequestListener } from 'node:http'
import { expect } from 'chai'
import type { ErrorRequestHandler } from 'express'
import { passthroughProxy, type PassthroughProxy, type ResponseHook } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { observing } from '../../support/observed.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'

const refused = new Error('refused')

/** Ways in which a hook fails after it has begun an answer of its own. */
const ways: Readonly<Record<string, ResponseHook>> = {
  'throws behind a head'(_incoming, _req, res) {
    res.writeHead(203)
    throw refused
  },
  'throws behind a part of the body'(_incoming, _req, res) {
    res.write('a part')
    throw refused
  },
  async 'rejects behind a part of the body'(_incoming, _req, res) {
    await new Promise(setImmediate)
    res.write('a part')
    throw refused
  },
  async 'rejects once it has read the upstream'(incoming, _req, res) {
    res.write('a part')
    await incoming.buffer()
    throw refused
  },
}

type Mount = (proxy: PassthroughProxy, errors: unknown[]) => RequestListener

const mounts: Readonly<Record<string, Mount>> = {
  ...Object.fromEntries(
    expressVersions.map(({ name, express }): [string, Mount] => [
      name,
      (proxy, errors) => {
        const note: ErrorRequestHandler = (error, _req, _res, next) => {
          errors.push(error)
          next(error)
        }
        return express().set('env', 'test').use(proxy, note)
      },
    ]),
  ),
  'node:http': (proxy, errors) => (req, res) => proxy(req, res, (error) => errors.push(error)),
}

for (const [host, mount] of Object.entries(mounts)) {
  describe(`An answer of onResponse itself (${host})`, () => {
    const observer = observing()
    let errors: unknown[]
    beforeEach(() => void (errors = []))
    afterEach(closeServers)

    async function ask(onResponse: ResponseHook): Promise<RawClient> {
      const upstream = await listen(createServer((_req, res) => res.end('of the upstream')))
      const proxy = passthroughProxy(`http://127.0.0.1:${upstream.port}`, { onResponse })
      const client = await RawClient.connect((await serve(mount(proxy, errors))).port)
      client.request('GET', '/')
      return client
    }

    for (const [way, onResponse] of Object.entries(ways)) {
      it(`is cut if the hook ${way}, and the error goes to next`, async () => {
        const client = await ask(onResponse)
        await client.closed()
        expect(client.pending.toString()).not.to.contain('\r\n0\r\n\r\n')
        expect(errors).to.have.length(1)
        expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK', cause: refused })
      })
    }

    it('may begin later if the hook returns a promise that waits for it', async () => {
      const client = await ask(
        (_incoming, _req, res) =>
          new Promise<void>((resolve) => {
            setImmediate(() => res.end('of the hook', () => resolve()))
          }),
      )
      expect((await client.response()).body.toString()).to.equal('of the hook')
      expect(errors).to.deep.equal([])
    })

    it('is left alone if the hook fails once it has ended, and the error is published', async () => {
      const contained = observer.messages('sluiceway:contained')
      const client = await ask((_incoming, _req, res) => {
        res.end('of the hook')
        throw refused
      })
      expect((await client.response()).body.toString()).to.equal('of the hook')
      expect(errors).to.deep.equal([])
      expect(contained.map(({ error }) => error)).to.deep.equal([refused])
    })

    it('is left alone if another handler has begun it, and the hook is too late with a head', async () => {
      const client = await ask(async (_incoming, _req, res) => {
        res.writeHead(200).write('of another handler, ') // as a timeout middleware does
        await new Promise(setImmediate)
        setImmediate(() => res.end('to its end'))
        res.writeHead(500)
      })
      expect((await client.response()).body.toString()).to.equal('of another handler, to its end')
      expect(errors).to.deep.equal([])
    })
  })
}
