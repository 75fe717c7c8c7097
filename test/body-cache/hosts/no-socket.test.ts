import { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'

/*
 * fetch-to-node makes a request of a `fetch` Request: it has the lines of its head, which frame no body, and no socket.
 * Its `_read` locks the stream of the body until it has pushed.
 */

const BODY = 'a body'

function requestOf(): IncomingMessage {
  const req = Object.assign(new IncomingMessage(undefined as never), { method: 'POST', url: '/' })
  req.rawHeaders.push('Content-Type', 'text/plain')
  Object.defineProperty(req, 'socket', { value: null })
  const chunks = [BODY, null]
  let isLocked = false
  req._read = () => {
    if (isLocked) throw new Error('ReadableStream is locked')
    isLocked = true
    setImmediate(() => {
      req.push(chunks.shift() ?? null)
      isLocked = false
    })
  }
  return req
}

function exchange(): [req: IncomingMessage, res: ServerResponse] {
  const req = requestOf()
  return [req, new ServerResponse(req)]
}

describe('a request without a socket', () => {
  it('is read again behind bodyCache', async () => {
    const [req, res] = exchange()
    bodyCache()(req, res, () => {})
    expect([await text(req), await text(req), await req.bodyCache?.text()]).to.deep.equal([BODY, BODY, BODY])
  })

  it('is limited by maxBytes, although no line frames its body', async () => {
    const [req, res] = exchange()
    maxBytes(3)(req, res, () => {})
    const error: unknown = await text(req).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'ERR_SLUICEWAY_BODY_TOO_LARGE')
  })

  for (const middleware of [maxBytes(10), bodyCache()]) {
    it(`is answered unread behind ${middleware.name}`, async () => {
      const [req, res] = exchange()
      middleware(req, res, () => {})
      res.assignSocket(new PassThrough().resume() as never)
      await new Promise<void>((resolve) => res.end('done', resolve))
      expect(res.writableFinished).to.equal(true)
    })
  }
})
