import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import type { ServerResponse } from 'node:http'
import { PassThrough, pipeline } from 'node:stream'
import compression from 'compression'
import type { RequestHandler } from 'express'
import { autoFlush } from 'sluiceway'
import { expressVersions } from '../support/express-versions.js'
import { closeServers, serve } from '../support/servers.js'
import { codings, StreamingClient } from './streaming-client.js'

/** Opens one way for data into a response: `send` writes a chunk, `end` ends the response. */
type Way = (res: ServerResponse) => { send(text: string): void; end(): void }

const ways: Record<string, Way> = {
  'write of strings': (res) => ({ send: (text) => res.write(text), end: () => res.end() }),
  'write of Buffers': (res) => ({ send: (text) => res.write(Buffer.from(text)), end: () => res.end() }),
  pipe: (res) => {
    const source = new PassThrough()
    source.pipe(res)
    return { send: (text) => source.write(text), end: () => source.end() }
  },
  pipeline: (res) => {
    const source = new PassThrough()
    pipeline(source, res, () => {})
    return { send: (text) => source.write(text), end: () => source.end() }
  },
  "a child's stdout": (res) => {
    const child: ChildProcessWithoutNullStreams = spawn('cat')
    child.stdout.pipe(res)
    return { send: (text) => child.stdin.write(text), end: () => child.stdin.end() }
  },
}

const orders: Record<string, () => RequestHandler[]> = {
  'before compression': () => [autoFlush(), compression()],
  'after compression': () => [compression(), autoFlush()],
}

describe('autoFlush', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    for (const [order, mount] of Object.entries(orders)) {
      describe(`on ${name}, mounted ${order}`, () => {
        for (const coding of codings) {
          for (const [way, open] of Object.entries(ways)) {
            it(`delivers each chunk before the next is sent: ${coding}, ${way}`, async () => {
              const app = express()
              app.use(...mount())
              const { url } = await serve(app)
              await pingPong(app, url, coding, open)
            })
          }
        }
      })
    }
  }
})

async function pingPong(
  app: { get(path: string, handler: RequestHandler): unknown },
  url: string,
  coding: (typeof codings)[number],
  open: Way,
): Promise<void> {
  const opened = new Promise<ReturnType<Way>>((resolve) => {
    app.get('/', (_req, res) => {
      res.type('text/plain')
      const way = open(res)
      way.send('chunk 0.')
      resolve(way)
    })
  })
  const client = await StreamingClient.get(url, coding)
  const way = await opened
  for (let n = 0; n < 5; n++) {
    await client.received(`chunk ${n}.`)
    way.send(`chunk ${n + 1}.`)
  }
  way.end()
  await client.ended()
  if (client.text !== 'chunk 0.chunk 1.chunk 2.chunk 3.chunk 4.chunk 5.') throw new Error(client.text)
}
