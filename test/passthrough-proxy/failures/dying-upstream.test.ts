import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import tls from 'node:tls'
import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes, passthroughProxy, type SluicewayError } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { hosts, type Handler } from '../../support/express/hosts.js'
import { emptyDirectory, removeDirectories } from '../../support/process/temporary-files.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'
import { isThorough } from '../../support/thorough.js'
import { happened } from '../../support/time/waiting.js'

/** The number of clients, each of which sends every case, all at the same time. */
const CLIENTS = isThorough ? 32 : 2

const large = Buffer.alloc(100_000, 'a body that comes in several chunks; ')

/** The requests of a client; the path tells the upstream how to behave. */
const kinds: Record<string, (path: string) => (string | Buffer)[]> = {
  'a GET': (path) => [head('GET', path)],
  'a small POST': (path) => [head('POST', path, 'Content-Length: 5'), 'small'],
  'a large POST': (path) => [head('POST', path, `Content-Length: ${large.length}`), large],
  'a large POST in chunks': (path) => [
    head('POST', path, 'Transfer-Encoding: chunked'),
    asChunk(large),
    lastChunk,
  ],
}

function head(method: string, path: string, ...lines: readonly string[]): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: test', ...lines, '', ''].join('\r\n')
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n'
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

/** The result of one request for its client: a whole answer, or a head and then visibly too little. */
type Outcome = '200 answered' | '502' | 'cut'

interface Moment {
  /** What the upstream says before it dies. */
  readonly says: string
  /** Does not wait for the request's body. */
  readonly early?: boolean
  readonly outcomes: readonly Outcome[]
}

const moments: Record<string, Moment> = {
  'when the head has come': { says: '', early: true, outcomes: ['502'] },
  'when all has come': { says: '', outcomes: ['502'] },
  'in its own head': { says: HEAD.slice(0, 20), outcomes: ['502'] },
  // A reset may overtake what was said.
  'after an early head': { says: HEAD, early: true, outcomes: ['cut', '502'] },
  'after its head': { says: HEAD, outcomes: ['cut'] },
  'in its body': { says: `${HEAD}answ`, outcomes: ['cut'] },
  'in its body in chunks': { says: `${CHUNKED}4\r\nansw\r\n`, outcomes: ['cut'] },
  'before its last chunk': { says: `${CHUNKED}8\r\nanswered\r\n`, outcomes: ['cut'] },
  'with its last byte': { says: `${HEAD}answered`, outcomes: ['200 answered'] },
}

/** Answers as the path says, and then dies unless the path tells it to live. */
const upstreamListener: RequestListener = (req) => {
  const [, way, name = ''] = decodeURIComponent(req.url ?? '').split('/')
  const { says, early = false } = moments[name] as Moment
  const { socket } = req
  const die = (): void => {
    if (way === 'RST') socket.resetAndDestroy()
    else if (way === 'FIN') socket.destroySoon()
  }
  const answer = (): void => void (says === '' ? die() : socket.write(says, 'latin1', die))
  if (early) answer()
  else req.resume().on('end', answer)
}

interface Case {
  readonly what: string
  readonly sent: (string | Buffer)[]
  readonly outcomes: readonly Outcome[]
}

const cases: readonly Case[] = Object.entries(moments).flatMap(([moment, { outcomes }]) =>
  ['FIN', 'RST'].flatMap((way) =>
    Object.entries(kinds).map(([kind, sent]) => ({
      what: `${kind}, ${way} ${moment}`,
      sent: sent(`/${way}/${encodeURIComponent(moment)}`),
      outcomes,
    })),
  ),
)
const living = head('GET', '/lives/with%20its%20last%20byte')

async function outcomeOf(client: RawClient): Promise<Outcome> {
  try {
    const { status, body } = await client.response()
    return (status === 502 ? '502' : `${status} ${body.toString()}`) as Outcome
  } catch (error) {
    // An end before any head would leave the client in the dark.
    expect((error as Error).message).to.match(/^200, cut: /)
    return 'cut'
  }
}

const chains: Record<string, () => Handler[]> = {
  passthroughProxy: () => [],
  'passthroughProxy behind all others': () => [maxBytes('1mb'), bodyCache({ memory: '16kb' }), autoFlush()],
}

for (const { name, mount } of hosts) {
  for (const [chain, others] of Object.entries(chains)) {
    describe(`${chain} while the upstream dies (${name})`, () => {
      let port: number
      let codes: Set<string>

      beforeEach(async () => {
        codes = new Set()
        const { url } = await serve(upstreamListener)
        const proxy = passthroughProxy(url)
        const noted: Handler = (req, res, next) =>
          proxy(req, res, (error) => {
            codes.add((error as SluicewayError).code)
            next(error)
          })
        ;({ port } = await serve(mount(...others(), noted)))
      })
      afterEach(closeServers)

      /** Puts every case to the proxy, each with a request behind it that must be served. */
      async function askAll(start: number): Promise<void> {
        let client = await RawClient.connect(port)
        for (let n = 0; n < cases.length; n++) {
          const { what, sent, outcomes } = cases[(start + n) % cases.length] as Case
          const isPipelined = (start + n) % 2 === 0
          client.write(...sent, isPipelined ? living : '')
          const outcome = await outcomeOf(client)
          expect(outcome, what).to.be.oneOf(outcomes)
          if (outcome === 'cut') {
            await client.closed()
            client = await RawClient.connect(port)
          }
          if (outcome === 'cut' || !isPipelined) client.write(living)
          expect(await outcomeOf(client), `the request after ${what}`).to.equal('200 answered')
        }
        client.destroy()
      }

      it(`answers each of ${CLIENTS * cases.length * 2} requests on kept connections, or cuts it visibly`, async () => {
        const starts = Array.from({ length: CLIENTS }, (_, n) => n * 5)
        await Promise.all(starts.map(askAll))
        expect([...codes]).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_RESET'])
      })
    })
  }
}

describe('passthroughProxy, after its upstream has died', () => {
  let upstream: ScriptedUpstream
  let app: RequestListener

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    app = hosts[0]!.mount(passthroughProxy(upstream.url))
  })
  afterEach(closeServers)

  it('announces the end of a connection on which too much of an upload is still missing', async () => {
    const client = await RawClient.connect((await serve(app)).port)
    client.request('POST', '/', { 'Content-Length': '1000000' })
    ;(await upstream.connection()).socket.resetAndDestroy()
    const { status, headers } = await client.response()
    expect([status, headers['connection']]).to.deep.equal([502, ['close']])
  })

  /** Asks as HTTP/1.0, and has the upstream die in the answer, whose end is that of the connection. */
  async function cutInUnframedBody(client: RawClient): Promise<string> {
    client.write('GET / HTTP/1.0\r\n\r\n')
    const connection = await upstream.connection()
    connection.write(`${CHUNKED}4\r\nansw\r\n`)
    await client.untilText('answ')
    connection.socket.resetAndDestroy()
    return client.untilText('ered').catch((error: Error) => error.message)
  }

  it('resets the connection of a client that would take an orderly end for the end of the body', async () => {
    const { port } = await serve(app)
    expect(await cutInUnframedBody(await RawClient.connect(port))).to.match(
      /^connection failed \(ECONNRESET\)/,
    )
  })

  it('closes the connection of such a client even while its end is being sent', async () => {
    const failing = new Transform({
      transform(chunk: Buffer, _encoding, callback) {
        const isFirst = chunk.includes('answ')
        if (!isFirst) connections[0]!.end()
        callback(isFirst ? null : new Error('fails'), chunk)
      },
    })
    const proxy = passthroughProxy(upstream.url, {
      onResponse: (incoming) => void incoming.pipeThrough(failing),
    })
    const { port, connections } = await serve(hosts[0]!.mount(proxy))
    const client = await RawClient.connect(port)
    client.write('GET / HTTP/1.0\r\n\r\n')
    const connection = await upstream.connection()
    const closed = happened('the connection', connections[0]!, 'close')
    connection.write(`${CHUNKED}4\r\nansw\r\n`)
    await client.untilText('answ')
    connection.write('4\r\nered\r\n')
    await closed
  })

  it('ends the connection of such a client if there is no reset', async () => {
    const { port } = await listen(https.createServer({ key, cert: certificate }, app))
    const secure = tls.connect({ port, host: '127.0.0.1', ca: certificate })
    await once(secure, 'secureConnect')
    expect(await cutInUnframedBody(RawClient.over(secure))).to.match(/^connection ended/)

    const file = join(emptyDirectory(), 'socket')
    const server = createServer(app).listen(file)
    await once(server, 'listening')
    const local = net.connect(file)
    expect(await cutInUnframedBody(RawClient.over(local))).to.match(/^connection ended/)
    server.close()
    removeDirectories()
  })
})
