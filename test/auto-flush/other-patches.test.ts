import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import compression from 'compression'
import express, { type RequestHandler } from 'express'
import { autoFlush } from 'sluiceway'
import { closeServers, serve } from '../support/servers.js'
import { StreamingClient } from './streaming-client.js'

type Write = (...args: unknown[]) => boolean

/** What many a middleware does: keep `res.write`, and put something around it. */
function patchWrite(res: ServerResponse): void {
  const { write } = res as { write: Write }
  res.write = function patched(...args: unknown[]) {
    return write.apply(res, args)
  } as typeof res.write
}

const patching: RequestHandler = (_req, res, next) => {
  patchWrite(res)
  next()
}

/** One that passes its data on in a later turn of the event loop. */
const delaying: RequestHandler = (_req, res, next) => {
  const { write } = res as { write: Write }
  res.write = function delayed(...args: unknown[]) {
    setTimeout(() => write.apply(res, args), 5)
    return true
  } as typeof res.write
  next()
}

/** Hides the stream of `compression`, which then looks like a compressor nobody knows. */
const hiding: RequestHandler = (_req, res, next) => {
  const on = res.on.bind(res) as (event: string, listener: () => void) => typeof res
  res.on = ((event: string, listener: () => void) =>
    event === 'drain' ? res : on(event, listener)) as typeof res.on
  next()
}

const arrangements: Record<string, () => RequestHandler[]> = {
  'patched, autoFlush, compression': () => [patching, autoFlush(), compression()],
  'autoFlush, patched, compression': () => [autoFlush(), patching, compression()],
  'autoFlush, compression, patched': () => [autoFlush(), compression(), patching],
  'patched, compression, autoFlush': () => [patching, compression(), autoFlush()],
  'compression, patched, autoFlush': () => [compression(), patching, autoFlush()],
  'compression, autoFlush, patched': () => [compression(), autoFlush(), patching],
  'autoFlush twice, compression between': () => [autoFlush(), compression(), autoFlush()],
  'compression twice, autoFlush between': () => [compression(), autoFlush(), compression()],
  'autoFlush, compression, patched to write later': () => [autoFlush(), compression(), delaying],
}

describe('autoFlush', () => {
  afterEach(closeServers)

  describe('beside other code that patches res.write', () => {
    for (const [arrangement, mount] of Object.entries(arrangements)) {
      it(`delivers each chunk before the next is sent: ${arrangement}`, async () => {
        await pingPong(mount(), (res) => (text) => res.write(text))
      })
    }

    it('leaves responses of the same application alone that it was not mounted for', async () => {
      const app = express()
      app.get('/with', autoFlush({ sync: true }), (_req, res) => void res.json('with'))
      app.get('/without', compression(), patching, (_req, res) => {
        expect(Object.getOwnPropertyDescriptor(res, 'writeHead')).to.include({
          writable: true,
          enumerable: true,
        })
        expect(Object.getOwnPropertyDescriptor(res, 'write')).to.include({ writable: true, enumerable: true })
        res.type('text/plain').write('without')
        res.end()
      })
      const { url } = await serve(app)
      expect(await (await StreamingClient.get(`${url}/with`)).ended()).to.equal('"with"')
      const client = await StreamingClient.get(`${url}/without`, 'gzip')
      expect(await client.ended()).to.equal('without')
      expect(client.response.headers).not.to.have.property('x-accel-buffering')
    })

    it('follows a patch that comes after the first write', async () => {
      await pingPong([autoFlush(), compression()], (res) => (text) => {
        res.write(text)
        patchWrite(res)
      })
    })

    it('follows a write that was kept before the head', async () => {
      await pingPong([autoFlush(), compression()], (res) => {
        const write = res.write.bind(res) as (text: string) => boolean
        return (text) => write(text)
      })
    })

    it('follows a compressor it does not know, by its res.flush()', async () => {
      await pingPong([autoFlush(), compression(), hiding], (res) => (text) => res.write(text))
    })
  })
})

async function pingPong(
  mounted: RequestHandler[],
  sender: (res: ServerResponse) => (text: string) => void,
): Promise<void> {
  const app = express()
  app.use(...mounted)
  const opened = new Promise<[ServerResponse, (text: string) => void]>((resolve) => {
    app.get('/', (_req, res) => {
      res.type('text/event-stream')
      const send = sender(res)
      send('data: 0\n\n')
      resolve([res, send])
    })
  })
  const { url } = await serve(app)
  const client = await StreamingClient.get(url, 'gzip')
  const [res, send] = await opened
  for (let n = 0; n < 5; n++) {
    await client.received(`data: ${n}\n\n`)
    send(`data: ${n + 1}\n\n`)
  }
  await client.received('data: 5')
  res.end()
  await client.ended()
}
