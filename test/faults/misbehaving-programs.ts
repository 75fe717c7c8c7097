import type { IncomingMessage } from 'node:http'
import type { Handler } from '../support/express/hosts.js'

/** Handlers around the middlewares under test; `note` records the events that they see. */
export type Program = (middlewares: readonly Handler[], note: (what: string) => void) => Handler[]

export function code(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code)
}

/** Runs `action`, and notes the error it throws. */
function attempt(note: (what: string) => void, action: () => unknown): void {
  try {
    action()
    note('nothing thrown')
  } catch (error) {
    note(code(error))
  }
}

function read(req: IncomingMessage, done: (text: string) => void): void {
  let text = ''
  req.on('data', (chunk: Buffer) => (text += chunk.toString()))
  req.on('end', () => done(text))
}

const READS_AFTER_ANSWER = 'answers before it has read its body'

/** Programs that answer more than once, or after they have given the connection away. */
export const faulty: Record<string, Program> = {
  'answers twice': (middlewares, note) => [
    ...middlewares,
    (_req, res) => {
      res.end('first')
      attempt(note, () => res.setHeader('X-Second', '1'))
      attempt(note, () => res.writeHead(200))
      attempt(note, () => res.end('second'))
    },
  ],
  'answers a streamed answer twice': (middlewares, note) => [
    ...middlewares,
    (_req, res) => {
      res.write('first ')
      attempt(note, () => res.writeHead(500))
      setImmediate(() => {
        attempt(note, () => res.setHeader('Content-Length', 1))
        res.end('answer')
      })
    },
  ],
  [READS_AFTER_ANSWER]: (middlewares, note) => [
    ...middlewares,
    (req, res) => {
      res.end('first')
      read(req, (text) => {
        note(text)
        attempt(note, () => res.setHeader('X-Second', '1'))
      })
    },
  ],
  'fails after it has answered': (middlewares) => [
    ...middlewares,
    (_req, res, next) => {
      res.end('first')
      next(new Error('late'))
    },
  ],
  'calls next twice before the middlewares': (middlewares, note) => [
    (_req, _res, next) => {
      next()
      next()
    },
    ...middlewares,
    (req, res) => {
      read(req, (text) => {
        note(text)
        if (!res.headersSent) res.end('first')
      })
    },
  ],
  'calls next twice after the middlewares': (middlewares, note) => [
    ...middlewares,
    (_req, _res, next) => {
      next()
      next()
    },
    (req, res) => {
      read(req, (text) => {
        note(text)
        if (!res.headersSent) res.end('first')
      })
    },
  ],
  'calls next again when it has been answered': (middlewares, note) => [
    (_req, res, next) => {
      res.on('finish', () => next())
      next()
    },
    ...middlewares,
    (_req, res) => {
      note(String(res.headersSent))
      if (!res.headersSent) res.end('first')
    },
  ],
  'takes the connection from the response': (middlewares, note) => [
    ...middlewares,
    (req, res) => {
      const { socket } = req
      res.detachSocket(socket)
      note(String(res.socket === null))
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst')
    },
  ],
  'takes the connection from a response under way': (middlewares) => [
    ...middlewares,
    (req, res) => {
      const { socket } = req
      res.writeHead(200, { 'Content-Length': '5' }).write('fi')
      setImmediate(() => {
        res.detachSocket(socket)
        socket.end('rst')
      })
    },
  ],
  'takes the connection when all is read, and answers on both': (middlewares, note) => [
    ...middlewares,
    (req, res) =>
      read(req, () => {
        const { socket } = req
        res.detachSocket(socket)
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst')
        attempt(note, () => res.end('second'))
      }),
  ],
}

/** The moments at which `req.destroy()` is called; the handler then tries to answer anyway. */
export const destroying: Record<string, (error?: Error) => Program> = {
  'before the middlewares': (error) => (middlewares) => [
    (req, _res, next) => {
      req.destroy(error)
      next()
    },
    ...middlewares,
    answer,
  ],
  'a turn before the middlewares': (error) => (middlewares) => [
    (req, _res, next) => {
      req.destroy(error)
      setImmediate(next)
    },
    ...middlewares,
    answer,
  ],
  'after the middlewares': (error) => (middlewares) => [
    ...middlewares,
    (req, _res, next) => {
      req.destroy(error)
      setImmediate(next)
    },
    answer,
  ],
  'with the first byte': (error) => (middlewares) => [
    ...middlewares,
    (req, res) => {
      req.once('data', () => {
        req.destroy(error)
        answer(req, res)
      })
    },
  ],
  'when all is read': (error) => (middlewares) => [
    ...middlewares,
    (req, res) =>
      read(req, () => {
        req.destroy(error)
        answer(req, res)
      }),
  ],
  'in the answer': (error) => (middlewares) => [
    ...middlewares,
    (req, res) => {
      res.write('be')
      setImmediate(() => {
        req.destroy(error)
        res.end('gun')
      })
    },
  ],
  'after the answer': (error) => (middlewares) => [
    ...middlewares,
    (req, res) => {
      answer(req, res)
      req.destroy(error)
    },
  ],
}

function answer(_req: unknown, res: Parameters<Handler>[1]): void {
  if (!res.headersSent) res.end('answered')
}
