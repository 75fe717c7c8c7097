import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closed } from '../../support/process/open-resources.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { MockedClock } from '../../support/time/mocked-clock.js'
import { until } from '../../support/time/until.js'

const LENGTH = 300_000
const PATIENCE_MS = 10_000

const { mount } = hosts[0]!

/** The bytes that a reader has got, and how its reading ended. */
interface Reading {
  received: number
  end: string | undefined
}

/** Reads by a listener for 'data'; `each` may pause the request. */
function listen(req: IncomingMessage, each: () => void = () => {}): Reading {
  const reading: Reading = { received: 0, end: undefined }
  req.on('data', (chunk: Buffer) => {
    reading.received += chunk.length
    each()
  })
  req.on('end', () => {
    reading.end = 'end'
  })
  req.on('error', (error: Error & { code?: string }) => {
    reading.end = error.code
  })
  return reading
}

function accept(res: ServerResponse): void {
  res.statusCode = 202
  res.end('accepted')
}

describe('a kept body that is read on after its answer', () => {
  const clock = new MockedClock()
  afterEach(() => clock.restore())
  afterEach(closeServers)

  /** Sends a head and a part of a body to a server that gives the request to `handler`. */
  async function upload(
    handler: (req: IncomingMessage, res: ServerResponse) => Reading,
    { sent = LENGTH, length = LENGTH, header = 'X-Other: a', isWhole = false } = {},
  ): Promise<{ client: RawClient; req: IncomingMessage; reading: Reading }> {
    const begun = deferred<{ req: IncomingMessage; reading: Reading }>()
    const handle: Handler = async (req, res) => {
      // Its next reader buffers only the first bytes of it.
      if (isWhole) await req.bodyCache.buffer()
      if (req.method === 'POST') begun.resolve({ req, reading: handler(req, res) })
      else res.end('next')
    }
    const limit = maxBytes({ limit: '10mb', lingerMs: 60_000 })
    const { port } = await serve(mount(limit, bodyCache(), handle))
    const client = await RawClient.connect(port)
    client.write(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${header}\r\n\r\n`,
      Buffer.alloc(sent),
    )
    return { client, ...(await begun.promise) }
  }

  it('is not given up while its reader waits for a slow client', async () => {
    clock.stop()
    const { client, reading } = await upload(
      (req, res) => {
        const begun = listen(req)
        accept(res)
        return begun
      },
      { sent: 100_000 },
    )
    await client.response()
    await until(() => reading.received === 100_000)
    for (let checks = 0; checks < 3; checks++) await clock.pass(PATIENCE_MS)
    client.write(Buffer.alloc(LENGTH - 100_000))
    await until(() => reading.end !== undefined)
    expect(reading).to.deep.equal({ received: LENGTH, end: 'end' })
    client.destroy()
  })

  it('is not given up while its reader takes some bytes in time, though it pauses after each chunk', async () => {
    clock.stop()
    const { client, req, reading } = await upload((incoming, res) => {
      const begun = listen(incoming, () => void incoming.pause())
      accept(res)
      return begun
    })
    await client.response()
    let rounds = 0
    for (; reading.end === undefined; rounds++) {
      req.resume()
      await clock.pass(PATIENCE_MS - 1)
    }
    expect(rounds).to.be.above(2)
    expect(reading).to.deep.equal({ received: LENGTH, end: 'end' })
    client.destroy()
  })

  it('leaves nothing on a connection that serves the next request', async () => {
    const { client, req, reading } = await upload(
      (incoming, res) => {
        const begun = listen(incoming)
        accept(res)
        return begun
      },
      { sent: 0 },
    )
    const { socket } = req
    await client.response()
    const whileReading = socket.listenerCount('close')
    client.write(Buffer.alloc(LENGTH))
    await until(() => reading.end === 'end')
    client.request('GET', '/')
    await client.response()
    expect(socket.listenerCount('close')).to.equal(whileReading - 1)
    client.destroy()
  })

  /** Begins to read when no reader can be seen in time for the head, which thus announces the close. */
  function acceptThenPause(req: IncomingMessage, res: ServerResponse): Reading {
    accept(res)
    return listen(req, () => void req.pause())
  }

  /** Is to read, but takes nothing yet. */
  function acceptAndPause(req: IncomingMessage, res: ServerResponse): Reading {
    const reading = listen(req)
    req.pause()
    accept(res)
    return reading
  }

  it('does not delay the close of a connection if all of it has come before', async () => {
    const { client } = await upload(acceptAndPause, {
      isWhole: true,
      header: 'Connection: close',
    })
    await client.response()
    await client.closed()
    client.destroy()
  })

  it('is kept for its reader when the client leaves after it has sent all of it', async () => {
    const { client, req, reading } = await upload(acceptAndPause, { isWhole: true })
    await client.response()
    client.destroy()
    await closed(req.socket)
    expect(reading.received).to.equal(0)
    req.resume()
    await until(() => reading.end !== undefined)
    expect(reading).to.deep.equal({ received: LENGTH, end: 'end' })
  })

  it('does not delay the close any longer once its reader is given up', async () => {
    clock.stop()
    const length = 3_000_000
    const { client, reading } = await upload(acceptThenPause, { length })
    const { headers } = await client.response()
    expect(headers['connection']).to.deep.equal(['close'])
    await until(() => reading.received > 0)
    await clock.pass(PATIENCE_MS)
    await clock.pass(PATIENCE_MS)
    expect(reading.end).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
    await client.closed()
    client.destroy()
  })
})
