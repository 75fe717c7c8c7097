import { once } from 'node:events'
import { expect } from 'chai'
import express from 'express'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, lastChunk, RawClient, type RawResponse } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { standstill } from '../support/time/standstill.js'

const CHUNKED =
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
const block = asChunk(Buffer.alloc(64 * 1024, '7'))

/** An upload that never ends: writes as long as the server takes bytes, and counts them. */
class EndlessUpload {
  sent = 0
  readonly client: RawClient

  private constructor(client: RawClient) {
    this.client = client
    this.client.socket.on('drain', this.send)
  }

  static async to(port: number): Promise<EndlessUpload> {
    const upload = new EndlessUpload(await RawClient.connect(port))
    upload.client.write(CHUNKED)
    upload.send()
    return upload
  }

  private readonly send = (): void => {
    while (this.client.socket.writable && this.client.write(block)) this.sent += block.length
    this.sent += block.length
  }
}

async function answerTo(port: number): Promise<RawResponse & { sent: number }> {
  const upload = await EndlessUpload.to(port)
  const response = await upload.client.response()
  return { ...response, sent: upload.sent }
}

const readToEnd: Handler = (req, res) => {
  req.on('data', () => {})
  req.on('end', () => res.end('never'))
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, during an endless upload`, () => {
    afterEach(closeServers)

    it('answers when the final handler gets the error', async () => {
      const { port } = await serve(mount(maxBytes('100kb'), express.json({ limit: '10mb' }) as Handler))
      const { status, headers } = await answerTo(port)
      expect([status, headers['connection']]).to.deep.equal([413, ['close']])
    })

    it('lets an error handler of the application answer', async () => {
      const readWithOwnAnswer: Handler = (req, res) => {
        req.resume().on('error', (error) => {
          res.statusCode = 413
          res.end(JSON.stringify({ message: error.message }))
        })
      }
      const { port } = await serve(mount(maxBytes('100kb'), readWithOwnAnswer))
      const { status, headers, body } = await answerTo(port)
      expect([status, headers['connection']]).to.deep.equal([413, ['close']])
      expect(body.toString()).to.equal('{"message":"request entity too large"}')
    })

    it('sends its own answer when there is no listener for the error', async () => {
      const { port } = await serve(mount(maxBytes('100kb'), readToEnd))
      const { status, headers, body } = await answerTo(port)
      expect([status, headers['connection'], headers['content-type'], body.toString()]).to.deep.equal([
        413,
        ['close'],
        ['text/plain; charset=utf-8'],
        'Payload Too Large',
      ])
    })

    it('sends its own answer when the listener for the error has not answered after lingerMs', async () => {
      const silent: Handler = (req) => void req.resume().on('error', () => {})
      const { port } = await serve(mount(maxBytes({ limit: '100kb', lingerMs: 50 }), silent))
      expect((await answerTo(port)).status).to.equal(413)
    })

    it('removes the reason and the entity headers that the application had set for another answer', async () => {
      const prepare: Handler = (_req, res, next) => {
        res.setHeader('Content-Length', '5')
        res.setHeader('ETag', '"x"')
        res.setHeader('X-Kept', 'yes')
        res.statusMessage = 'Fine'
        next()
      }
      const { port } = await serve(mount(maxBytes('100kb'), prepare, readToEnd))
      const { reason, headers, body } = await answerTo(port)
      expect([reason, body.toString()]).to.deep.equal(['Payload Too Large', 'Payload Too Large'])
      expect([headers['etag'], headers['x-kept']]).to.deep.equal([undefined, ['yes']])
    })

    it('lets a handler that has sent its head finish, and then closes the connection', async () => {
      const echoProgress: Handler = (req, res) => {
        res.write('started;')
        req.on('error', (error: Error & { code?: string }) => res.end(`stopped by ${error.code}`))
        req.resume()
      }
      const { port } = await serve(mount(maxBytes('100kb'), echoProgress))
      const upload = await EndlessUpload.to(port)
      const { status, body } = await upload.client.response()
      expect([status, body.toString()]).to.deep.equal([
        200,
        'started;stopped by ERR_SLUICEWAY_BODY_TOO_LARGE',
      ])
      await upload.client.closed()
    })

    it('closes the connection after an answer whose head had been sent, even if the client sends no more', async () => {
      const answerLate: Handler = (req, res) => {
        res.write('started;')
        req.resume().on('error', () => res.end('stopped'))
      }
      const { port, server } = await serve(mount(maxBytes({ limit: 10, lingerMs: 60_000 }), answerLate))
      server.keepAliveTimeout = 60_000
      const client = await RawClient.connect(port)
      client.write(CHUNKED, asChunk('12345678901'))
      expect((await client.response()).body.toString()).to.equal('started;stopped')
      await client.closed()
      client.destroy()
    })

    it('answers when the request is piped into the response and none of it has passed', async () => {
      const { port } = await serve(mount(maxBytes(0), (req, res) => void req.pipe(res)))
      const client = await RawClient.connect(port)
      client.write(CHUNKED, asChunk('1'))
      expect((await client.response()).status).to.equal(413)
    })

    it('reads at most lingerBytes more from a client that never stops sending', async () => {
      const lingerBytes = 1024 * 1024
      const { port, server, connections } = await serve(
        mount(maxBytes({ limit: '100kb', lingerMs: 60_000, lingerBytes }), readToEnd),
      )
      await Promise.all([once(server, 'connection'), EndlessUpload.to(port)])
      await once(connections[0]!, 'close')
      // One more read of the socket, 64 KiB, may be under way when the bound is met.
      expect(connections[0]!.bytesRead).to.be.within(lingerBytes, lingerBytes + 400 * 1024)
    })

    it('reads no more of the upload until the answer has been sent', async () => {
      const heard = deferred<() => void>()
      const answerWhenTold: Handler = (req, res, next) => {
        if (req.url === '/meanwhile') res.end()
        else req.resume().on('error', (error) => heard.resolve(() => next(error)))
      }
      const { port, url, connections } = await serve(mount(maxBytes('100kb'), answerWhenTold))
      const upload = await EndlessUpload.to(port)
      const answer = await heard.promise
      const read = await standstill(url, () => connections[0]!.bytesRead)
      expect(read).to.be.below(400 * 1024)
      answer()
      expect((await upload.client.response()).status).to.equal(413)
    })

    it('closes the connection once the rest has arrived, although the client keeps its side open', async () => {
      const { port, server, connections } = await serve(
        mount(maxBytes({ limit: 10, lingerMs: 60_000 }), readToEnd),
      )
      server.keepAliveTimeout = 60_000
      const client = await RawClient.connect(port)
      client.write(CHUNKED, asChunk('12345678901'))
      expect((await client.response()).status).to.equal(413)
      await client.closed()
      client.write(asChunk('the rest'), lastChunk)
      await once(connections[0]!, 'close')
    })

    it('after lingerMs, destroys the connection of a client that neither stops nor leaves', async () => {
      const { port, connections } = await serve(mount(maxBytes({ limit: 10, lingerMs: 50 }), readToEnd))
      const client = await RawClient.connect(port)
      client.write(CHUNKED)
      client.write(asChunk('12345678901'))
      expect((await client.response()).status).to.equal(413)
      await once(connections[0]!, 'close')
    })

    it('never reads the bytes after a refused body as a request', async () => {
      let requests = 0
      const { port } = await serve((req, res) => {
        requests += 1
        mount(maxBytes(10), readToEnd)(req, res)
      })
      const client = await RawClient.connect(port)
      client.write(CHUNKED)
      client.write(asChunk('12345678901'))
      const response = client.response()
      client.write('0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n')
      expect((await response).status).to.equal(413)
      await client.closed()
      expect([requests, client.pending.length]).to.deep.equal([1, 0])
    })

    for (const [where, before] of [
      ['', ''],
      [' behind another response', 'GET /first HTTP/1.1\r\nHost: a\r\n\r\n'],
    ] as const) {
      it(`answers a client that ends its side in the middle of a refused body${where}`, async () => {
        const first = deferred<() => void>()
        const heard = deferred<() => void>()
        const answerWhenTold: Handler = (req, res, next) => {
          if (req.url === '/first') first.resolve(() => res.end())
          else req.resume().on('error', (error) => heard.resolve(() => next(error)))
        }
        const { port, connections } = await serve(
          mount(maxBytes({ limit: 10, lingerMs: 60_000 }), answerWhenTold),
        )
        const client = await RawClient.connect(port)
        client.write(before, CHUNKED, asChunk('12345678901'))
        const answer = await heard.promise
        if (before !== '') {
          const answerFirst = await first.promise
          answerFirst()
          await client.response()
        }
        const ended = once(connections[0]!, 'end')
        client.socket.end()
        await ended
        answer()
        expect((await client.response()).status).to.equal(413)
      })
    }

    for (const [how, leave] of [
      ['ends', (client: RawClient) => void client.socket.end()],
      ['resets', (client: RawClient) => void client.socket.resetAndDestroy()],
    ] as const) {
      it(`raises no clientError when the client ${how} the connection in the middle of the rest`, async () => {
        const { port, server, connections } = await serve(mount(maxBytes(10), readToEnd))
        const errors: Error[] = []
        server.on('clientError', (error) => errors.push(error))
        const client = await RawClient.connect(port)
        client.write(CHUNKED)
        client.write(asChunk('12345678901'))
        await client.response()
        leave(client)
        await new Promise((resolve) => connections[0]!.once('close', resolve))
        expect(errors).to.deep.equal([])
      })
    }
  })
}
