import type { ServerResponse } from 'node:http'
import { Transform } from 'node:stream'
import { expect } from 'chai'
import { autoFlush, passthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { hosts, type Handler } from '../../support/express/hosts.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { MockedClock } from '../../support/time/mocked-clock.js'
import { turns } from '../../support/time/turns.js'

const through: Handler = (_req, _res, next) => next()

/** Sets a header before the first byte, as code does that measures or marks an answer. */
const marking: Handler = (_req, res, next) => {
  replace(res, (write, ...args) => {
    if (!res.headersSent) res.setHeader('X-Mark', String(res.statusCode))
    return write(...args)
  })
  next()
}

/** Keeps the whole body, and sends another one with its length, as express-interceptor does. */
const changing: Handler = (_req, res, next) => {
  const own = { write: res.write.bind(res), end: res.end.bind(res) }
  const kept: Buffer[] = []
  res.write = ((chunk: Buffer) => kept.push(Buffer.from(chunk)) > 0) as never
  res.end = ((chunk?: Buffer | string, encoding?: BufferEncoding) => {
    if (chunk !== undefined) kept.push(Buffer.from(chunk as string, encoding))
    Object.assign(res, own)
    const body = `${Buffer.concat(kept).toString()}, changed`
    if (!res.headersSent) res.setHeader('Content-Length', body.length)
    return res.end(body)
  }) as never
  next()
}

type Write = (...args: unknown[]) => unknown

function replace(res: ServerResponse, around: (write: Write, ...args: unknown[]) => unknown): void {
  for (const name of ['write', 'end'] as const) {
    const own = (res[name] as Write).bind(res)
    res[name] = ((...args: unknown[]) => around(own, ...args)) as never
  }
}

const HEAD = 'HTTP/1.1 203 Fine\r\nX-Twice: a\r\nX-Twice: b\r\nX-Powered-By: upstream\r\n'

const answers: Record<string, readonly string[]> = {
  'with a length': [`${HEAD}Content-Length: 5\r\n\r\nhello`],
  'in chunks': [`${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
  'whose head comes in a packet of its own': [`${HEAD}Content-Length: 5\r\n\r\n`, 'hello'],
  'whose chunks come one by one': [
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n`,
    '2\r\nhe\r\n',
    '3\r\nllo\r\n',
    '0\r\n\r\n',
  ],
}

for (const { name, mount } of hosts) {
  describe(`passthroughProxy behind a middleware that replaces write and end (${name})`, () => {
    afterEach(closeServers)

    /** Asks twice over one connection, and returns the second answer. */
    async function ask(
      front: Handler | readonly Handler[],
      parts: readonly string[],
    ): ReturnType<RawClient['response']> {
      const upstream = await scriptedUpstream()
      const { port } = await serve(mount(...[front].flat(), passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('GET', '/1')
      const connection = await upstream.connection()
      for (const path of ['/1', '/2']) {
        await connection.untilText(`${path} HTTP/1.1`)
        await connection.untilText('\r\n\r\n')
        for (const part of parts) {
          connection.write(part)
          if (parts.length > 1) await turns()
        }
        const response = await client.response()
        if (path === '/2') return response
        client.request('GET', '/2')
      }
      throw new Error('not reached')
    }

    for (const [how, parts] of Object.entries(answers)) {
      it(`leaves the head to the first write of an answer ${how}, where it gets another header`, async () => {
        const { status, reason, headers, body } = await ask(marking, parts)
        expect([status, reason, body.toString()]).to.deep.equal([203, 'Fine', 'hello'])
        expect(headers['x-mark']).to.deep.equal(['203'])
        expect(headers['x-powered-by']).to.deep.equal(['upstream'])
        expect(String(headers['x-twice'])).to.equal('a,b')
      })

      for (const [where, front] of [
        ['', changing],
        [', behind autoFlush', [autoFlush(), changing]],
        [', with autoFlush behind it', [changing, autoFlush()]],
      ] as const) {
        it(`sends another body, with its length, in place of an answer ${how}${where}`, async () => {
          const { headers, body } = await ask(front, parts)
          expect(body.toString()).to.equal('hello, changed')
          expect(headers['content-length']).to.deep.equal(['14'])
        })
      }
    }

    it('leaves the head of an answer without a body to end', async () => {
      const { status, headers } = await ask(marking, ['HTTP/1.1 204 No Content\r\n\r\n'])
      expect([status, headers['x-mark']]).to.deep.equal([204, ['204']])
    })

    for (const [what, front] of [
      ['write and end', marking],
      ['nothing', through],
    ] as const) {
      it(`sends a head that stays alone, behind a middleware that replaces ${what}`, async () => {
        const upstream = await scriptedUpstream()
        const { port } = await serve(mount(front, passthroughProxy(upstream.url)))
        const client = await RawClient.connect(port)
        client.request('GET', '/')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(
          'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
        )
        await client.untilText('\r\n\r\n')
        connection.write('5\r\nhello\r\n')
        await client.untilText('hello')
      })
    }

    it('sends the head of a changed body after one wait for its first byte, and not two', async () => {
      const clock = new MockedClock()
      const held = deferred<() => void>()
      const holding = new Transform({
        transform(chunk, _encoding, done) {
          held.resolve(() => done(null, chunk))
        },
      })
      const upstream = await scriptedUpstream()
      const proxy = passthroughProxy(upstream.url, {
        onResponse: (incoming) => void incoming.pipeThrough(holding),
      })
      const { port } = await serve(mount(marking, proxy))
      const client = await RawClient.connect(port)
      clock.stop()
      try {
        client.request('GET', '/')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
        const goOn = await held.promise
        await clock.pass(50)
        expect(await client.untilText('\r\n\r\n')).to.contain(' 200 OK')
        goOn()
        await client.untilText('hello')
      } finally {
        clock.restore()
      }
    })

    it('cuts the connection if a middleware throws at a head that has waited, and answers the next client', async () => {
      const throwing: Handler = (req, res, next) => {
        if (req.url === '/1') {
          res.writeHead = () => {
            throw new Error('from a middleware')
          }
        }
        marking(req, res, next)
      }
      const upstream = await scriptedUpstream()
      const { port } = await serve(mount(throwing, passthroughProxy(upstream.url)))
      for (const path of ['/1', '/2']) {
        const client = await RawClient.connect(port)
        client.request('GET', path)
        const connection = await upstream.connectionWith(`${path} HTTP/1.1`)
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
        if (path === '/2') await client.untilText(' 200 OK')
        else {
          await client.closed()
          expect(client.pending.toString()).to.equal('')
        }
      }
    })

    it('cuts the connection if the upstream fails behind its head, which still waits', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(mount(marking, passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
      connection.socket.end()
      await client.closed()
      expect(client.pending.toString()).to.equal('')
    })
  })
}
