import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { replaceListsDuringEvents, wrapListeners } from '../support/express/wrapped-listeners.js'
import { observing } from '../support/observed.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

const POST = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

/** A tracer in front of the application. */
const wrapping: Handler = (req, res, next) => {
  wrapListeners(req)
  wrapListeners(res)
  next()
}

const binding: Handler = (req, _res, next) => {
  replaceListsDuringEvents(req)
  next()
}

interface Exchange {
  readonly client: RawClient
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

for (const { name, mount } of hosts) {
  describe(`bodyCache behind a tracer that wraps the listeners of a request (${name})`, () => {
    afterEach(closeServers)

    async function exchange(tracer: Handler): Promise<Exchange> {
      const { promise, resolve } = deferred<[IncomingMessage, ServerResponse]>()
      const { port } = await serve(mount(tracer, bodyCache(), (req, res) => resolve([req, res])))
      const client = await RawClient.connect(port)
      client.write(POST)
      const [req, res] = await promise
      return { client, req, res }
    }

    function end({ client, res }: Exchange): void {
      res.end()
      client.destroy()
    }

    it('adds no listener with each pause of a reader', async () => {
      const { client, req, res } = await exchange(wrapping)
      req.on('data', () => {
        req.pause()
        setImmediate(() => req.resume())
      })
      for (let sent = 0; sent < 20; sent++) {
        client.write(asChunk('x'))
        await once(req, 'pause')
      }
      expect(req.listenerCount('newListener')).to.equal(1)
      end({ client, req, res })
    })

    it('gives readers that start while others are reading the whole body, once', async () => {
      const { client, req, res } = await exchange(wrapping)
      const first = text(req.pipe(new PassThrough()))
      client.write(asChunk('one '))
      await once(req, 'data')
      const second = text(req.pipe(new PassThrough()))
      client.write(asChunk('two '))
      await once(req, 'data')
      const left = new PassThrough()
      req.pipe(left)
      req.unpipe(left)
      const third = text(req.pipe(new PassThrough()))
      client.write(asChunk('three'), lastChunk)
      expect(await Promise.all([first, second, third])).to.deep.equal(Array(3).fill('one two three'))
      expect(left.readableLength).to.equal(0)
      end({ client, req, res })
    })

    it('does not end the destination of a pipe with { end: false } that another reader overtakes', async () => {
      const { client, req, res } = await exchange(wrapping)
      const [open, ended] = [new PassThrough(), new PassThrough()]
      let inOpen = ''
      open.on('data', (chunk) => (inOpen += String(chunk)))
      req.pipe(open, { end: false })
      req.pipe(ended)
      client.write(asChunk('one '))
      await once(req, 'data')
      const whole = text(req.pipe(new PassThrough()))
      client.write(asChunk('two'), lastChunk)
      expect([await whole, await text(ended)]).to.deep.equal(['one two', 'one two'])
      expect([inOpen, open.writableEnded]).to.deep.equal(['one two', false])
      end({ client, req, res })
    })

    it('ends its reader if the lists of listeners are replaced during each event, as by cls-hooked', async () => {
      const { client, req, res } = await exchange(binding)
      client.write(asChunk('one '), asChunk('two'), lastChunk)
      let got = ''
      await new Promise((resolve) => req.on('data', (chunk) => (got += String(chunk))).on('end', resolve))
      expect(got).to.equal('one two')
      end({ client, req, res })
    })
  })

  describe(`maxBytes behind such a tracer (${name}), when a piped body passes its limit`, () => {
    const observer = observing()
    afterEach(closeServers)

    /** Pipes the request, and answers in one listener for the errors of both streams, as http-proxy does. */
    async function answersOf(tracer: Handler, isWrapped: boolean): Promise<string[]> {
      const errors: string[] = []
      const piping: Handler = (req, res) => {
        const destination = new Writable({ write: (_chunk, _encoding, done) => done() })
        if (isWrapped) wrapListeners(destination)
        const answer = (error: Error & { status?: number }): void => {
          errors.push(error.message)
          res.writeHead(error.status ?? 500).end()
        }
        req.on('error', answer)
        destination.on('error', answer)
        req.pipe(destination)
      }
      const { port } = await serve(mount(tracer, maxBytes(10), piping))
      const client = await RawClient.connect(port)
      client.write(POST, asChunk('12345'))
      client.write(asChunk('678901'))
      expect((await client.response()).status).to.equal(413)
      await client.closed()
      return errors
    }

    it('tells a listener of both streams once', async () => {
      expect(await answersOf(wrapping, false)).to.deep.equal(['request entity too large'])
    })

    it('contains the exception of a listener that is told twice, as both streams are traced', async () => {
      const contained = observer.messages('sluiceway:contained')
      await answersOf(wrapping, true)
      expect(contained.map(({ error }) => (error as { code: string }).code)).to.deep.equal([
        'ERR_HTTP_HEADERS_SENT',
      ])
    })
  })
}
