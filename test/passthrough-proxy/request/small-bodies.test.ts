import type { Socket } from 'node:net'
import { expect } from 'chai'
import onFinished from 'on-finished'
import {
  bodyCache,
  maxBytes,
  passthroughProxy,
  type PassthroughProxyOptions,
  type TargetFunction,
} from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { hosts, type Handler } from '../../support/express/hosts.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { until } from '../../support/time/until.js'

const BODY = 'a small body, \u00e9\u20ac\0'
const LENGTH = Buffer.byteLength(BODY)
const HEAD = `POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${LENGTH}\r\n\r\n`

/** The ways in which a small body may arrive: usually whole with its head, or later. */
const arrivals: Record<string, (client: RawClient, upstream: ScriptedUpstream) => Promise<RawClient>> = {
  'with its head': (client, upstream) => {
    client.write(HEAD, BODY)
    return upstream.connection()
  },
  'after its head': async (client, upstream) => {
    client.write(HEAD)
    const connection = await upstream.connection()
    client.write(BODY)
    return connection
  },
  'half with its head': async (client, upstream) => {
    client.write(HEAD, BODY.slice(0, 7))
    const connection = await upstream.connection()
    client.write(BODY.slice(7))
    return connection
  },
}

/** Code that may be mounted in front of the proxy. */
const before: Record<string, Handler> = {
  nothing: (_req, _res, next) => next(),
  'a handler that waits': (_req, _res, next) => setImmediate(next),
  maxBytes: maxBytes(LENGTH),
  bodyCache: bodyCache(),
  // What is in its buffer then is counted in characters.
  "setEncoding('utf8')": (req, _res, next) => next(void req.setEncoding('utf8')),
}

/** A delay in which the parts of a body arrive one by one. */
interface Delay {
  readonly front?: readonly Handler[]
  readonly options?: PassthroughProxyOptions
  readonly target?: TargetFunction
}

/** Sends one request, so that the next is sent over the same connections as soon as it is ready. */
async function keepConnection(port: number, upstream: ScriptedUpstream): Promise<[RawClient, RawClient]> {
  const client = await RawClient.connect(port)
  client.request('GET', '/')
  const connection = await upstream.connection()
  await connection.untilText('\r\n\r\n')
  connection.write(answer())
  await client.response()
  return [client, connection]
}

const isHere: Handler = (_req, _res, next) => void setImmediate(next)

/** `over` is awaited by the code that delays a POST. */
const delays: Record<string, (over: Promise<void>, url: string) => Delay> = {
  'a handler waits': (over) => ({
    front: [({ method }, _res, next) => (method === 'POST' ? void over.then(() => next()) : next())],
  }),
  'onRequest waits': (over) => ({
    options: { onRequest: ({ method }) => (method === 'POST' ? over : undefined) },
  }),
  'the target is looked up': (over, url) => ({
    target: async ({ method }) => {
      if (method === 'POST') await over
      return url
    },
  }),
  'another reader reads it, behind bodyCache': () => ({
    front: [bodyCache(), (req, _res, next) => void req.on('data', () => {}).on('end', () => next())],
  }),
}

for (const { name, mount } of hosts) {
  describe(`passthroughProxy with small bodies (${name})`, () => {
    afterEach(closeServers)

    for (const [what, handler] of Object.entries(before)) {
      for (const [how, send] of Object.entries(arrivals)) {
        it(`passes on a body that comes ${how}, behind ${what}, and emits its end`, async () => {
          const upstream = await scriptedUpstream()
          const ended = deferred<unknown>()
          const listen: Handler = (req, _res, next) => {
            onFinished(req, (error) => ended.resolve(error))
            next()
          }
          const { port } = await serve(mount(handler, listen, passthroughProxy(upstream.url)))
          const client = await RawClient.connect(port)
          const connection = await send(client, upstream)
          expect(await connection.untilText('\r\n\r\n')).to.include(`content-length: ${LENGTH}\r\n`)
          expect((await connection.bytes(LENGTH)).toString()).to.equal(BODY)
          connection.write(answer())
          expect((await client.response()).body.toString()).to.equal('ok')
          expect(await ended.promise).to.equal(null)
          // Not a byte too many was sent: the next request begins where the body ends.
          client.request('GET', '/next')
          expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/next /)
          expect(upstream.accepted).to.equal(1)
        })
      }
    }

    for (const [what, delay] of Object.entries(delays)) {
      it(`passes on a body that came in several pieces while ${what}`, async () => {
        const upstream = await scriptedUpstream()
        const over = deferred()
        const { front = [], options = {}, target = upstream.url } = delay(over.promise, upstream.url)
        const sockets = new Set<Socket>()
        const note: Handler = ({ socket }, _res, next) => next(void sockets.add(socket))
        const { port } = await serve(mount(note, ...front, passthroughProxy(target, options)))
        const [client, connection] = await keepConnection(port, upstream)
        const [socket] = sockets
        for (const piece of [HEAD + BODY.slice(0, 3), BODY.slice(3, 9), BODY.slice(9)]) {
          const arrived = socket!.bytesRead + Buffer.byteLength(piece)
          client.write(piece)
          await until(() => socket!.bytesRead === arrived)
        }
        over.resolve()
        expect(await connection.untilText('\r\n\r\n')).to.include(`content-length: ${LENGTH}\r\n`)
        expect((await connection.bytes(LENGTH)).toString()).to.equal(BODY)
        connection.write(answer())
        expect((await client.response()).status).to.equal(200)
      })
    }

    for (const encoding of ['utf8', 'latin1'] as const) {
      it(`sends no byte beyond the length of a body that an application has decoded as ${encoding}`, async () => {
        const upstream = await scriptedUpstream()
        const decode: Handler = (req, _res, next) => next(void req.setEncoding(encoding))
        const { port } = await serve(
          mount(
            decode,
            isHere,
            passthroughProxy(() => upstream.url),
          ),
        )
        const [client, connection] = await keepConnection(port, upstream)
        // Written as UTF-8, each of the first bytes becomes two or three.
        const sent = Buffer.from(`${'\xff'.repeat(80)}GET /smuggled HTTP/1.1`, 'latin1')
        client.write(`POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${sent.length}\r\n\r\n`, sent)
        await connection.closed()
        const [, body = ''] = connection.pending.toString('latin1').split('\r\n\r\n')
        expect(body.length).to.be.at.most(sent.length)
        expect((await client.response()).status).to.equal(400)
      })
    }
  })
}
