import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { expect } from 'chai'
import { attach, passthroughProxy } from 'sluiceway'
import { kinds, message, transports, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { answersTo, app, bytesOf } from './sequences.js'

const names = Object.keys(kinds)

/** Every sequence of `length` kinds. */
function sequences(length: number): string[][] {
  if (length === 0) return [[]]
  return sequences(length - 1).flatMap((shorter) => names.map((name) => [...shorter, name]))
}

const BODIES: Record<string, string> = {
  length: 'GET /smuggled HTTP/1.1\r\n\r\n!!',
  chunked: 'abc',
  expecting: 'body',
}

function answerOf(kind: string, place: number): string {
  return kind === 'noHost' ? '400' : `/${kind}?${place} ${BODIES[kind] ?? ''}`
}

/** Runs `check` for each of `items`, several at once. */
async function forEach<Item>(items: readonly Item[], check: (item: Item) => Promise<void>): Promise<void> {
  const rest = [...items]
  const next = async (): Promise<void> => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await check(item)
  }
  await Promise.all(Array.from({ length: 24 }, next))
}

for (const { name, serve: serveWith, connect } of transports) {
  describe(`attach with messages that are sent without waiting, over ${name}`, () => {
    let port: number

    beforeEach(async () => {
      ;({ port } = await serveWith(app))
    })
    afterEach(closeServers)

    /** Writes `packets`, and checks that the messages are answered in order, or the connection closes. */
    async function check(sequence: readonly string[], packets: readonly string[]): Promise<void> {
      const client = await connect(port)
      for (const packet of packets) {
        client.write(packet)
        await new Promise((resolve) => setTimeout(resolve, packets.length > 1 ? 1 : 0))
      }
      const { answers, isClosed } = await answersTo(client, sequence.length)
      const expected = sequence.map(answerOf)
      expect(answers, sequence.join(', ')).to.deep.equal(expected.slice(0, answers.length))
      expect(isClosed || answers.length === sequence.length, sequence.join(', ')).to.equal(true)
      expect(answers.length, sequence.join(', ')).to.be.at.least(1)
      client.destroy()
    }

    it('answers one to three messages of any kind in order, or closes the connection: all in one packet', async function many() {
      this.timeout(60_000)
      const all = [1, 2, ...(name === 'http' ? [3] : [])].flatMap(sequences)
      await forEach(all, (sequence) => check(sequence, [bytesOf(sequence).join('')]))
    })

    it('answers them in order, or closes the connection: each in a packet of its own', async function many() {
      this.timeout(60_000)
      await forEach([1, 2].flatMap(sequences), (sequence) => check(sequence, bytesOf(sequence)))
    })

    for (const sequence of [
      ['h2c', 'slow'],
      ['slow', 'websocket', 'slow'],
      ['slow', 'slow', 'websocket', 'slow'],
      ['slow', 'h2c', 'slow'],
      ['length', 'slow'],
      ['chunked', 'h2c'],
      ['expecting', 'slow'],
      ['slow', 'unknown', 'length'],
    ]) {
      it(`answers "${sequence.join(', ')}" wherever the bytes are cut`, async function many() {
        this.timeout(60_000)
        const bytes = bytesOf(sequence).join('')
        const cuts = Array.from(bytes, (_byte, at) => at).slice(1)
        await forEach(cuts, async (at) => {
          const client = await connect(port)
          client.write(bytes.slice(0, at))
          await new Promise((resolve) => setTimeout(resolve, 1))
          client.write(bytes.slice(at))
          const { answers } = await answersTo(client, sequence.length)
          // An upgrade that comes when the answer before it is out is taken, and the connection ends with it.
          const mayBeLast = /^\/(?:websocket|unknown)/.test(answers.at(-1)!)
          const expected = sequence.map(answerOf).slice(0, mayBeLast ? answers.length : sequence.length)
          expect(answers, `cut at ${at}`).to.deep.equal(expected)
          client.destroy()
        })
      })
    }
  })
}

describe('attach with a handler that takes over every upgrade request', () => {
  afterEach(closeServers)

  it('never gives the handler a connection that another response is using', async () => {
    const { port } = await transports[0]!.serve((req, res) => {
      if (req.headers.upgrade === 'websocket') req.socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
      else app(req, res)
    })
    const client = await RawClient.connect(port)
    const sequence = ['slow', 'slow', 'websocket', 'slow']
    client.write(bytesOf(sequence).join(''))
    expect((await answersTo(client, 4)).answers).to.deep.equal(sequence.map(answerOf))
    client.write(bytesOf(['slow', 'websocket']).join(''))
    expect(String((await client.response()).body)).to.equal('/slow?0 ')
    expect((await client.response()).status).to.equal(101)
  })
})

describe('attach with an upgrade whose head is too long', () => {
  afterEach(closeServers)

  it('reads at most one message from it', async () => {
    const seen: unknown[] = []
    const server = createServer((req, res) => {
      seen.push(req.url)
      res.end()
    })
    server.maxHeadersCount = 8
    attach(server, app)
    const client = await RawClient.connect((await listen(server)).port)
    const smuggled = message('GET /smuggled HTTP/1.1', 'Host: test')
    const lines = Array.from({ length: 8 }, (_line, at) => `X-${at}: a`)
    client.write(upgradeTo('h2c', '/1', ...lines, `Content-Length: ${smuggled.length}`), smuggled, smuggled)
    const { headers } = await client.response()
    expect(headers['connection']).to.deep.equal(['close'])
    await client.closed()
    expect(seen.filter((path) => path !== '/1')).to.deep.equal([])
  })
})

describe('attach and passthroughProxy with messages that are sent without waiting', () => {
  afterEach(closeServers)

  it('send the upstream at most one request for each, in order, and no upgrade except those that are tunnelled', async function many() {
    this.timeout(60_000)
    const asked: string[] = []
    const upgrades: string[] = []
    const upstream = await serve((req, res) => {
      asked.push(req.url!)
      if (req.headers.upgrade !== undefined) upgrades.push(req.url!)
      app(req, res)
    })
    upstream.server.on('upgrade', (req: IncomingMessage, socket: Socket) => {
      asked.push(req.url!)
      upgrades.push(req.url!)
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    })
    const proxy = passthroughProxy(upstream.url)
    const { port } = await transports[0]!.serve((req, res) => {
      proxy(req, res, () => res.writeHead(502).end())
    })
    const sent: string[] = []
    await forEach([1, 2].flatMap(sequences), async (sequence) => {
      const client = await RawClient.connect(port)
      const paths = sequence.map((kind, place) => `/${kind}?${place}&${sequence.join('-')}`)
      sent.push(...paths)
      client.write(sequence.map((kind, place) => kinds[kind]!(paths[place]!)).join(''))
      await answersTo(client, sequence.length)
      client.destroy()
    })
    expect(asked.filter((path) => !sent.includes(path))).to.deep.equal([])
    expect(new Set(asked).size).to.equal(asked.length)
    expect(upgrades.filter((path) => !path.startsWith('/websocket'))).to.deep.equal([])
  })
})
