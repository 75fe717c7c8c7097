import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { expect } from 'chai'
import compression from 'compression'
import express, { type RequestHandler, type Response } from 'express'
import { autoFlush } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { standstill } from '../support/time/standstill.js'
import { turns } from '../support/time/turns.js'
import { happened } from '../support/time/waiting.js'

const chunk = Buffer.alloc(64 * 1024, 'incompressible? no, but large')

const mounts: Record<string, (flush: RequestHandler) => RequestHandler[]> = {
  alone: (flush) => [flush],
  'before compression': (flush) => [flush, compression()],
  'after compression': (flush) => [compression(), flush],
}

const passing: RequestHandler = (_req, _res, next) => next()

describe('autoFlush', () => {
  afterEach(closeServers)

  for (const [mount, mounted] of Object.entries(mounts)) {
    describe(`as a writable stream, mounted ${mount}`, () => {
      it('returns the same from write as without autoFlush', async () => {
        const withoutIt = await results(mounted(passing))
        const withIt = await results(mounted(autoFlush()))
        expect(withIt).to.deep.equal(withoutIt)
        expect(withIt).to.include(false)
      })

      it('calls the same callbacks of write and end as without autoFlush', async () => {
        expect(await callbacks(mounted(autoFlush()))).to.deep.equal(await callbacks(mounted(passing)))
      })

      it("emits 'drain' when the client reads", async () => {
        const { res, client } = await open(mounted(autoFlush()))
        while (res.write(chunk));
        const drained = happened('the response', res, 'drain')
        client.socket.resume()
        await drained
        res.end()
        await client.closed()
      })

      it('pauses a source while the client does not read', async () => {
        const { url, res, client } = await open(mounted(autoFlush()))
        let taken = 0
        const source = new Readable({
          read() {
            taken += chunk.length
            this.push(random())
          },
        })
        source.pipe(res)
        expect(await standstill(url, () => taken)).to.be.below(32 * 1024 * 1024)
        const gone = once(res, 'close')
        client.destroy()
        await gone
        source.destroy()
      })
    })
  }

  it('holds corked writes of the handler, and sends them on uncork', async () => {
    const { url, res, client } = await open([autoFlush()])
    client.socket.resume()
    res.cork()
    res.write('corked')
    expect(await standstill(url, () => client.socket.bytesRead)).to.equal(0)
    res.uncork()
    await client.untilText('corked')
    client.destroy()
  })

  for (const [mount, mounted] of Object.entries(mounts)) {
    // Node 22 and 24 send what is corked after the last chunk once the head was sent, and autoFlush sends it early.
    it(`sends a corked body before its end if the handler leaves uncorking to end(), mounted ${mount}`, async () => {
      expect(await corkedToTheEnd(mounted(autoFlush()))).to.equal('corked')
    })
  }

  it('sends a body that was corked before the head, and the chunk given to end(), in order', async () => {
    const { res, client } = await open([autoFlush()])
    client.socket.resume()
    res.cork()
    res.writeHead(200)
    await turns(2)
    res.write('corked')
    res.end(', end')
    expect(String((await client.response()).body)).to.equal('corked, end')
  })
})

/** Sends the head, and later a corked body that only `end()` uncorks; returns what the client reads. */
async function corkedToTheEnd(mounted: RequestHandler[]): Promise<string> {
  const { res, client } = await open(mounted)
  client.socket.resume()
  res.writeHead(200)
  await turns(2)
  res.cork()
  res.write('corked')
  res.end()
  const { body, headers } = await client.response()
  return String(headers['content-encoding']?.[0] === 'gzip' ? gunzipSync(body) : body)
}

/** Sends a request from a client that does not read, and returns the open response. */
async function open(mounted: RequestHandler[]): Promise<{ url: string; res: Response; client: RawClient }> {
  const app = express()
  app.use(...mounted)
  const handled = new Promise<Response>((resolve) => {
    app.get('/', (_req, res) => resolve(res.type('text/plain')))
  })
  const { port, url } = await serve(app)
  const client = await RawClient.connect(port)
  client.socket.pause()
  client.request('GET', '/', { 'Accept-Encoding': 'gzip', Connection: 'close' })
  return { url, res: await handled, client }
}

async function results(mounted: RequestHandler[]): Promise<boolean[]> {
  const { res, client } = await open(mounted)
  const returned = [
    res.write('a'),
    res.write(Buffer.from('b')),
    res.write(chunk),
    res.write(chunk),
    res.write(''),
  ]
  client.socket.resume()
  res.end()
  await client.closed()
  return returned
}

async function callbacks(mounted: RequestHandler[]): Promise<string[]> {
  const { res, client } = await open(mounted)
  client.socket.resume()
  const called: string[] = []
  res.write('a', () => called.push('write(chunk, callback)'))
  res.write('b', 'utf8', () => called.push('write(chunk, encoding, callback)'))
  endWith(res, () => called.push('end(callback)'))
  await client.closed()
  return called
}

/** `compression` takes the callback for a chunk and throws, with and without autoFlush. */
function endWith(res: ServerResponse, callback: () => void): void {
  try {
    res.end('c', callback)
  } catch {
    res.destroy()
  }
}

function random(): Buffer {
  return Buffer.from(Float64Array.from({ length: 8192 }, Math.random).buffer)
}
