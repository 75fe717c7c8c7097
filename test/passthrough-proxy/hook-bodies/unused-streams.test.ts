import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { expect } from 'chai'
import { passthroughProxy, type IncomingResponse, type ResponseHook } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { closeServers, serve } from '../../support/servers/servers.js'

/** The calls of `onResponse` that take a stream over. */
const calls: Record<string, (incoming: IncomingResponse, stream: PassThrough) => unknown> = {
  replace: (incoming, stream) => incoming.replace(stream),
  pipeThrough: (incoming, stream) => incoming.pipeThrough(stream),
}

/** Fulfilled when a stream has been closed, before or after the call. */
async function closed(stream: Readable): Promise<void> {
  if (!stream.closed) await new Promise<void>((resolve) => void stream.once('close', resolve))
}

describe('streams of onResponse that are not used', () => {
  afterEach(closeServers)

  async function proxyWith(onResponse: ResponseHook, status = 200): Promise<RawClient> {
    const upstream = await serve((_req, res) => void res.writeHead(status).end('the body'))
    const proxy = passthroughProxy(upstream.url, { onResponse })
    const server = await serve((req, res) =>
      proxy(req, res, (error) => res.writeHead(500).end((error as Error).message)),
    )
    const client = await RawClient.connect(server.port)
    client.request('GET', '/')
    return client
  }

  for (const [what, call] of Object.entries(calls)) {
    it(`are destroyed if ${what}() comes after the client has left`, async () => {
      const stream = new PassThrough()
      let begun!: () => void
      const hasBegun = new Promise<void>((resolve) => (begun = resolve))
      const client = await proxyWith(async (incoming, _req, res: ServerResponse) => {
        begun()
        await once(res, 'close')
        call(incoming, stream)
      })
      await hasBegun
      client.socket.destroy()
      await closed(stream)
    })

    it(`are destroyed if ${what}() comes during buffer()`, async () => {
      const stream = new PassThrough()
      const client = await proxyWith((incoming) => {
        void incoming.buffer()
        call(incoming, stream)
      })
      expect((await client.response()).status).to.equal(500)
      await closed(stream)
    })

    it(`are an error of the hook if they have just failed when ${what}() gets them`, async () => {
      const stream = new PassThrough()
      const client = await proxyWith((incoming) => {
        stream.destroy(new Error('failed'))
        call(incoming, stream)
      })
      expect((await client.response()).status).to.equal(500)
      await closed(stream)
    })
  }

  it('are destroyed if pipeThrough() refuses a 206', async () => {
    const stream = new PassThrough()
    const client = await proxyWith((incoming) => {
      expect(() => incoming.pipeThrough(stream)).to.throw(TypeError)
    }, 206)
    expect((await client.response()).body.toString()).to.equal('the body')
    await closed(stream)
  })

  it('are left alone if they transform another body', async () => {
    const client = await proxyWith((incoming) => {
      const transform = new PassThrough()
      incoming.pipeThrough(transform)
      expect(() => incoming.pipeThrough(transform)).to.throw(TypeError)
    })
    expect((await client.response()).body.toString()).to.equal('the body')
  })

  it('tell a reader that the client has left, with the code of pipeline()', async () => {
    const upstream = await serve((_req, res) => void res.write('half'))
    let reading!: (loaded: Promise<Buffer>) => void
    const read = new Promise<{ loaded: Promise<Buffer> }>(
      (resolve) => (reading = (loaded) => resolve({ loaded })),
    )
    const proxy = passthroughProxy(upstream.url, {
      async onResponse(incoming) {
        const loaded = incoming.buffer()
        reading(loaded)
        await loaded
      },
    })
    const client = await RawClient.connect((await serve((req, res) => proxy(req, res, () => {}))).port)
    client.request('GET', '/')
    const { loaded } = await read
    client.socket.destroy()
    const error: unknown = await loaded.catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'ERR_STREAM_PREMATURE_CLOSE')
  })
})
