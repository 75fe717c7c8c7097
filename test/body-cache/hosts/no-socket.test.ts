import { IncomingMessage, ServerResponse } from 'node:http'
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

/** Such a host has no socket for its answers either, and emits their events itself. */
function answer(res: ServerResponse): void {
  res.end('done')
  res.emit('finish')
  res.emit('close')
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

  it('has its whole body for a reader after the answer, behind maxBytes', async () => {
    const [req, res] = exchange()
    maxBytes(10)(req, res, () => {})
    answer(res)
    expect(await text(req)).to.equal(BODY)
  })

  it('lets its body go with the answer, behind bodyCache', async () => {
    const [req, res] = exchange()
    bodyCache()(req, res, () => {})
    answer(res)
    const error: unknown = await text(req).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'ERR_SLUICEWAY_BODY_RELEASED')
  })
})
