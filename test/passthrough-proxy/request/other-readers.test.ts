import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import {
  bodyCache,
  passthroughProxy,
  type OutgoingRequest,
  type RequestHook,
  type SluicewayError,
} from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import type { Handler } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

const body = ['the body ', 'of the client']

/** Readers that a middleware adds before the proxy, which is called in the same tick. */
const others: Record<string, (req: IncomingMessage) => unknown> = {
  'counts its bytes': (req) => req.on('data', () => {}),
  'pipes it elsewhere': (req) => req.pipe(new PassThrough()).resume(),
}

/** Hooks that read the client's body, and leave it in its place. */
const readers: Record<string, RequestHook> = {
  'reads it': async (_outgoing, req) => void (await text(req)),
  'reads a part of it': async (_outgoing, req) => {
    await once(req, 'readable')
    req.read(3)
  },
  'leaves a loop over it': async (_outgoing, req) => {
    for await (const _chunk of req) break
  },
  'reads it and changes it': async (outgoing, req) => {
    await text(req)
    outgoing.pipeThrough(new PassThrough())
  },
  'changes it and reads it': async (outgoing, req) => {
    outgoing.pipeThrough(new PassThrough())
    await text(req)
  },
}

const later = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 20))

const noMiddleware: Handler = (_req, _res, next) => next()

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy beside other readers of a body (${name})`, () => {
    let errors: SluicewayError[]
    beforeEach(() => (errors = []))
    afterEach(closeServers)

    /** Sends a body in chunks together with its head, over a connection to the upstream that is not open yet. */
    async function send(
      onRequest?: RequestHook,
      before: Handler = noMiddleware,
    ): Promise<{ readonly status: number; readonly body: Buffer }> {
      const upstream = await serve((req, res) => void req.pipe(res))
      const proxy = passthroughProxy(upstream.url, { onRequest })
      const app = express().use(before, (req, res, next) =>
        proxy(req, res, (error) => {
          errors.push(error as SluicewayError)
          next(error)
        }),
      )
      const client = await RawClient.connect((await serve(app)).port)
      client.request('POST', '/', {}, body)
      return client.response()
    }

    for (const [what, listen] of Object.entries(others)) {
      for (const hook of [undefined, async () => later()]) {
        it(`sends all of it where another one ${what}${hook ? ', and a hook waits' : ''}`, async () => {
          const response = await send(hook, (req, _res, next) => {
            listen(req)
            next()
          })
          expect(response.body.toString()).to.equal(body.join(''))
        })
      }
    }

    it('sends all of it where a reader is added while the request waits for a connection', async () => {
      let counted = 0
      const response = await send(undefined, (req, _res, next) => {
        next()
        req.on('data', ({ length }: Buffer) => (counted += length))
      })
      expect(response.body.toString()).to.equal(body.join(''))
      expect(counted).to.equal(body.join('').length)
    })

    for (const [when, reader] of [
      ['added while it waited', 'early'],
      ['of an error handler', 'late'],
    ] as const) {
      it(`leaves the body of a request that finds no upstream to a reader ${when}`, async () => {
        const { server, url } = await serve(() => {})
        server.close()
        const { promise, resolve } = deferred<string>()
        const read = (req: IncomingMessage): void => {
          let bytes = ''
          req.on('data', (chunk: Buffer) => (bytes += String(chunk))).on('end', () => resolve(bytes))
        }
        const proxy = passthroughProxy(url)
        const app = express().use((req, res) => {
          proxy(req, res, () => {
            if (reader === 'late') read(req)
            void promise.then((bytes) => res.end(bytes))
          })
          if (reader === 'early') read(req)
        })
        const client = await RawClient.connect((await serve(app)).port)
        client.request('POST', '/', {}, body)
        expect((await client.response()).body.toString()).to.equal(body.join(''))
      })
    }

    for (const [what, hook] of Object.entries(readers)) {
      it(`refuses a request whose hook ${what}: nothing is left to send, or a part`, async () => {
        expect((await send(hook)).status).to.equal(500)
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_BODY_ALREADY_READ')
        expect(errors[0]?.message).to.contain('by onRequest for instance; set outgoing.body, or mount')
      })
    }

    it('sends all of it behind bodyCache, whatever a hook reads', async () => {
      const response = await send(readers['reads it'], bodyCache())
      expect(response.body.toString()).to.equal(body.join(''))
    })

    const losing: Record<string, (outgoing: OutgoingRequest, stream: Readable) => void> = {
      'a stream': (outgoing, stream) => (outgoing.body = stream),
      'a stream that it changes': (outgoing, stream) => {
        outgoing.body = stream
        outgoing.pipeThrough(new PassThrough())
      },
    }
    for (const [what, give] of Object.entries(losing)) {
      for (const objectMode of [false, true]) {
        it(`refuses ${what} which the hook reads to its end${objectMode ? ', of objects' : ''}`, async () => {
          const response = await send(async (outgoing) => {
            const stream = Readable.from([Buffer.from('of the hook')], { objectMode })
            give(outgoing, stream)
            stream.resume()
            await new Promise((resolve) => void stream.on('end', resolve))
          })
          expect(response.status).to.equal(500)
          expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
        })
      }
    }
  })
}
