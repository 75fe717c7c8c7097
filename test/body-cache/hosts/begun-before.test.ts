import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { emptyDirectory, openFilesIn, removeDirectories } from '../../support/process/temporary-files.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'

interface Counted extends IncomingMessage {
  counted: number
}

/** Ways in which a middleware counts the bytes of a body, without waiting for them. */
const counters: Readonly<Record<string, (req: Counted) => void>> = {
  "on('data')": (req) => void req.on('data', ({ length }: Buffer) => (req.counted += length)),
  'pipe()': (req) => {
    req.pipe(new PassThrough()).on('data', ({ length }: Buffer) => (req.counted += length))
  },
  "on('readable')": (req) => {
    req.on('readable', () => {
      for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as Buffer | null) {
        req.counted += chunk.length
      }
    })
  },
}

const setEncoding: Handler = (req, _res, next) => {
  req.setEncoding('utf8')
  next()
}

for (const { name: host, mount } of hosts) {
  describe(`bodyCache on ${host}, behind code that has begun to listen in the same turn`, () => {
    afterEach(closeServers)

    for (const [name, count] of Object.entries(counters)) {
      for (const length of [1000, 100_000]) {
        it(`gives it each byte once, and the end: ${name}, ${length} bytes`, async () => {
          // The first bytes arrive in the meantime.
          const waitFirst: Handler = (_req, _res, next) => void setTimeout(next, 20)
          const listen: Handler = (req, _res, next) => {
            count(Object.assign(req, { counted: 0 }))
            next()
          }
          const answer: Handler = async (req, res) => {
            await once(req, 'end')
            res.end(String((req as Counted).counted))
          }
          const { url } = await serve(mount(waitFirst, listen, bodyCache(), answer))
          const response = await fetch(url, { method: 'POST', body: Buffer.alloc(length) })
          expect(await response.text()).to.equal(String(length))
        })
      }
    }

    it('gives the bytes once to it and to a later reader', async () => {
      const waitFirst: Handler = (_req, _res, next) => void setTimeout(next, 20)
      const listen: Handler = (req, _res, next) => {
        counters["on('data')"]!(Object.assign(req, { counted: 0 }))
        next()
      }
      const answer: Handler = async (req, res) => {
        const { length } = await rawBody(req)
        res.end(`${(req as Counted).counted} ${length}`)
      }
      const { url } = await serve(mount(waitFirst, listen, bodyCache(), answer))
      const response = await fetch(url, { method: 'POST', body: Buffer.alloc(1000) })
      expect(await response.text()).to.equal('1000 1000')
    })

    it('gives strings to the first reader, and bytes to the later ones, if only an encoding was set', async () => {
      const answer: Handler = async (req, res) => {
        let read = ''
        req.on('data', (piece: unknown) => (read += typeof piece === 'string' ? piece : '?'))
        await once(req, 'end')
        const bytes = [await req.bodyCache.buffer(), await rawBody(req)]
        res.end(`${read} ${bytes.join(' ')}`)
      }
      const { url } = await serve(mount(setEncoding, bodyCache(), answer))
      const response = await fetch(url, { method: 'POST', body: 'gr\u00fcn' })
      expect(await response.text()).to.equal('gr\u00fcn gr\u00fcn gr\u00fcn')
    })

    for (const [what, first] of [
      ['a character', 'a'],
      ['the first byte of a character', '\xc3'],
    ] as const) {
      it(`refuses a body of which ${what} was decoded before`, async () => {
        const waitFirst: Handler = (_req, _res, next) => void setTimeout(next, 20)
        const answer: Handler = (_req, res) => res.end('served')
        const { port } = await serve(mount(setEncoding, waitFirst, bodyCache(), answer))
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n', Buffer.from(first, 'latin1'))
        expect((await client.response()).status).to.equal(500)
        client.destroy()
      })
    }
  })
}

describe('bodyCache behind code that has read a part of a body', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    it(`discards the rest, and the connection serves its next request, in ${name}`, async () => {
      const app = express().set('env', 'test')
      app.get('/', (_req, res) => void res.end('next'))
      app.use((req, _res, next) => {
        req.once('data', () => {
          req.pause()
          setImmediate(next)
        })
      }, bodyCache())
      const { port } = await serve(app)
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('begin'))
      expect((await client.response()).status).to.equal(500)
      client.write(asChunk('x'.repeat(200_000)), lastChunk)
      client.request('GET', '/')
      expect(String((await client.response()).body)).to.equal('next')
      client.destroy()
    })
  }
})

describe('bodyCache behind a response that is over', () => {
  afterEach(closeServers)
  afterEach(removeDirectories)

  it('keeps nothing, so that memoryBudget stays whole', async () => {
    const directory = emptyDirectory()
    const cache = bodyCache({ directory, memoryBudget: 3000 })
    let late = 0
    const early: Handler = (req, res, next) => {
      if (req.url === '/early') res.once('finish', next).end()
      else next()
    }
    const answer: Handler = async (req, res) => {
      late += 1
      if (req.url === '/early') return
      await req.bodyCache.buffer()
      res.end(String(openFilesIn(directory).length))
    }
    const { url, port } = await serve(hosts[0]!.mount(maxBytes('1mb'), early, cache, answer))
    for (let sent = 1; sent <= 3; sent += 1) {
      const client = await RawClient.connect(port)
      client.write('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n', Buffer.alloc(1000))
      await until(() => late === sent)
      client.destroy()
    }
    const response = await fetch(url, { method: 'POST', body: Buffer.alloc(2500) })
    expect(await response.text()).to.equal('0')
  })
})
