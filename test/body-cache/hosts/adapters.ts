import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex, PassThrough, type Readable } from 'node:stream'
import type { Express } from 'express'

/*
 * Function adapters and injectors call an application with a request and a response of their own. The properties used
 * here for each were found by running the package itself: docs/hosts.md.
 */

export const BODY = '{"a" : "\u00fc\u00fc"}'
export const SIZE = Buffer.byteLength(BODY)

type Deliver = (this: Readable) => void

export interface Adapter {
  readonly name: string
  readonly socket: () => object
  /** The request says so before a byte was delivered. */
  readonly complete: boolean | undefined
  readonly deliver: Deliver
  /** What the adapter does to its request and response: before the application is called, and after it has returned. */
  readonly before?: (req: IncomingMessage, res: ServerResponse) => void
  readonly after?: (req: IncomingMessage) => void
}

const plainSocket = (): object => ({
  encrypted: true,
  readable: true,
  remoteAddress: '127.0.0.1',
  end() {},
  destroy() {},
})

/** Marks the request as finished: without it finalhandler would wait for a socket that is no emitter. */
function close(req: IncomingMessage): void {
  req.readable = false
}

/** Node's own state of a response, which is not written: an empty head. */
function emptyHead(_req: IncomingMessage, res: ServerResponse): void {
  Object.assign(res, { _header: '' })
}

export const adapters: readonly Adapter[] = [
  {
    name: 'serverless-http 4',
    socket: () => Object.assign(new PassThrough(), { encrypted: true, remoteAddress: '127.0.0.1' }),
    complete: true,
    before: emptyHead,
    deliver() {
      this.push(Buffer.from(BODY))
      this.push(null)
    },
  },
  {
    name: '@codegenie/serverless-express 4',
    socket: plainSocket,
    complete: true,
    before: emptyHead,
    after: close,
    deliver() {
      this.push(Buffer.from(BODY))
      this.push(null)
    },
  },
  {
    name: 'srvx 1, whose socket ends with the body',
    socket: () => new Duplex({ read: pushWhole, allowHalfOpen: true }),
    complete: undefined,
    before: (req) => void req.socket.on('end', () => req.push(null)),
    deliver() {
      const { socket } = this as IncomingMessage
      if (socket.listenerCount('data') === 0) socket.on('data', (bytes) => this.push(bytes))
    },
  },
  {
    name: 'light-my-request 6, which pushes strings in a later turn',
    socket: () => new PassThrough(),
    complete: undefined,
    before: (req, res) => {
      req.once('error', (error) => {
        if (req.destroyed) res.destroy(error)
      })
    },
    deliver: inLaterTurn(function () {
      this.push(BODY.slice(0, 9))
      this.push(BODY.slice(9))
      this.push(null)
    }),
  },
  {
    name: 'an adapter that delivers a byte each time it is asked, as a string in hexadecimal',
    socket: plainSocket,
    complete: true,
    after: close,
    deliver: byteByByte(),
  },
]

function pushWhole(this: Readable): void {
  this.push(Buffer.from(BODY))
  this.push(null)
}

/** Delivers once, however often `_read` is called, as light-my-request does. */
function inLaterTurn(deliver: Deliver): Deliver {
  const done = new WeakSet<Readable>()
  return function () {
    setImmediate(() => {
      if (done.has(this)) this.push(null)
      else {
        done.add(this)
        deliver.call(this)
      }
    })
  }
}

function byteByByte(): Deliver {
  const given = new WeakMap<Readable, number>()
  return function () {
    const at = given.get(this) ?? 0
    given.set(this, at + 1)
    this.push(at < SIZE ? Buffer.from(BODY).toString('hex', at, at + 1) : null, 'hex')
  }
}

/** Returns status and body of a response after all of it has been written. */
export function answerOf(res: ServerResponse, resolve: (answer: string) => void): void {
  let sent = ''
  res.assignSocket(new PassThrough().on('data', (bytes: Buffer) => (sent += String(bytes))) as never)
  const answer = (): void => resolve(`${res.statusCode} ${sent.split('\r\n\r\n')[1]}`)
  res.on('finish', () => setImmediate(answer))
}

/** Calls an application as an adapter does, and returns status and body of its answer. */
export function invoke(app: Express, adapter: Adapter, length = true): Promise<string> {
  const { socket, complete, deliver } = adapter
  const req = new IncomingMessage(socket() as never)
  const headers = {
    'content-type': 'application/json',
    ...(length ? { 'content-length': String(SIZE) } : { 'transfer-encoding': 'chunked' }),
  }
  Object.assign(req, { method: 'POST', url: '/', httpVersionMajor: '1', complete, headers })
  req._read = deliver
  const res = new ServerResponse(req)
  adapter.before?.(req, res)
  return new Promise((resolve, reject) => {
    answerOf(res, resolve)
    res.on('error', reject)
    app(req as never, res as never)
    adapter.after?.(req)
  })
}
