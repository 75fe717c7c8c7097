import { once } from 'node:events'
import { PassThrough, Transform } from 'node:stream'
import { expect } from 'chai'
import {
  passthroughProxy,
  type IncomingResponse,
  type OutgoingRequest,
  type PassthroughProxyOptions,
} from 'sluiceway'
import { closeServers, serve } from '../../support/servers/servers.js'
import { turns } from '../../support/time/turns.js'

/** A transform that fails as soon as it is made, as one does that cannot open its file. */
const failsAtOnce = (): Transform =>
  new Transform({ construct: (callback) => callback(new Error('no such file')) })

/** An implementation whose promise Node ignores. */
function rejecting(message: string): () => void {
  const method: () => unknown = async () => Promise.reject(new Error(message))
  return method
}

/** A proxy that answers an error with its message. */
function proxyTo(url: string, options: PassthroughProxyOptions): Promise<{ url: string }> {
  const proxy = passthroughProxy(url, options)
  return serve((req, res) => proxy(req, res, (error) => res.writeHead(500).end((error as Error).message)))
}

/** What `next` is given for a transform of `onResponse` that fails. */
const TRANSFORM_FAILED = 'a transform of onResponse failed'

describe('transforms that are not used to their end', () => {
  afterEach(closeServers)

  async function upload(onRequest: (outgoing: OutgoingRequest) => unknown): Promise<Response> {
    const { url } = await serve((req, res) => void req.pipe(res))
    const proxy = await proxyTo(url, { onRequest })
    return fetch(proxy.url, { method: 'POST', body: 'the body' })
  }

  async function download(
    onResponse: (incoming: IncomingResponse) => unknown,
    body: string | Buffer = 'the body',
  ): Promise<Response> {
    const { url } = await serve((_req, res) => void res.end(body))
    const proxy = await proxyTo(url, { onResponse })
    return fetch(proxy.url)
  }

  it('are an error of the hook if they fail while it still runs', async () => {
    const response = await upload(async (outgoing) => {
      outgoing.pipeThrough(failsAtOnce())
      for (let n = 0; n < 3; n++) await turns(1)
    })
    expect(response.status).to.equal(500)
  })

  it('are an error of the hook if they fail right behind it', async () => {
    const response = await upload((outgoing) => void outgoing.pipeThrough(failsAtOnce()))
    expect(response.status).to.equal(500)
  })

  it('are destroyed if the hook fails', async () => {
    const transform = new PassThrough()
    const closed = once(transform, 'close')
    const response = await upload((outgoing) => {
      outgoing.pipeThrough(transform)
      throw new Error('the hook')
    })
    expect(response.status).to.equal(500)
    await closed
  })

  it('are destroyed if the hook gives another body', async () => {
    const transform = new PassThrough()
    const closed = once(transform, 'close')
    const response = await upload((outgoing) => {
      outgoing.pipeThrough(transform)
      outgoing.body = 'another'
    })
    expect(await response.text()).to.equal('another')
    await closed
  })

  it('may fail while they are destroyed for a response without a body', async () => {
    const { url } = await serve((_req, res) => void res.end())
    const proxy = await proxyTo(url, {
      onResponse: (incoming) => {
        incoming.pipeThrough(new PassThrough({ destroy: (_error, done) => done(new Error('destroyed')) }))
      },
    })
    expect((await fetch(proxy.url, { method: 'HEAD' })).status).to.equal(200)
  })

  for (const length of [100, 70_000, 3_000_000]) {
    it(`leave a body of ${length} bytes that is too large for buffer() to replace()`, async () => {
      const response = await download(async (incoming) => {
        await incoming.buffer({ limit: 50 }).catch(() => incoming.replace('too large'))
      }, Buffer.alloc(length))
      expect([response.status, await response.text()]).to.deep.equal([200, 'too large'])
    })
  }

  it('end the wait of buffer() if they close early', async () => {
    const response = await download(async (incoming) => {
      const transform = new PassThrough()
      const loaded = incoming.pipeThrough(transform).buffer()
      transform.destroy()
      await loaded
    })
    expect(await response.text()).to.contain(TRANSFORM_FAILED)
  })

  it('end the wait of buffer() if they close while it reads', async () => {
    const response = await download(async (incoming) => {
      const transform = new PassThrough()
      transform.on('newListener', (event) => {
        if (event === 'data') setImmediate(() => transform.destroy())
      })
      await incoming.pipeThrough(transform).buffer()
    }, Buffer.alloc(1_000_000))
    expect(await response.text()).to.contain(TRANSFORM_FAILED)
  })

  it('end the wait of buffer() if they have closed before', async () => {
    const response = await download(async (incoming) => {
      const transform = new PassThrough()
      incoming.pipeThrough(transform)
      transform.destroy()
      await once(transform, 'close')
      await incoming.buffer()
    })
    expect(await response.text()).to.contain(TRANSFORM_FAILED)
  })

  it('are refused by buffer() if they give objects', async () => {
    const response = await download((incoming) =>
      incoming
        .pipeThrough(
          new Transform({ readableObjectMode: true, transform: (_chunk, _e, done) => done(null, {}) }),
        )
        .buffer(),
    )
    expect(response.status).to.equal(500)
  })

  for (const [what, transform] of Object.entries({
    'final()': () =>
      new Transform({
        transform: (_c, _e, done) => done(),
        final: rejecting('final'),
      }),
    'write()': () => {
      const stream = new PassThrough()
      stream._write = rejecting('write')
      return stream
    },
  })) {
    it(`do not end the process if ${what} rejects`, async () => {
      const response = await download((incoming) => void incoming.pipeThrough(transform()))
      expect(response.status).to.equal(500)
    })
  }
})
