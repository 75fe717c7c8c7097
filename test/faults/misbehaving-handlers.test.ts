import type { IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { allClosedIn, emptyDirectory, removeDirectories } from '../support/process/temporary-files.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { isThorough } from '../support/thorough.js'

type Chain = (directory: string) => Handler[]

const chains: Record<string, Chain> = {
  maxBytes: () => [maxBytes('1mb')],
  bodyCache: (directory) => [bodyCache({ directory, memory: 0 })],
  autoFlush: () => [autoFlush()],
  'all three': (directory) => [maxBytes('1mb'), bodyCache({ directory, memory: 0 }), autoFlush()],
}

/** The chains whose readers may give up without harm to the answer. */
const keeps = (what: string): boolean => what === 'bodyCache' || what === 'all three'

/** The events that a program saw, and the result for its client: an answer, or the end of the connection. */
interface Outcome {
  readonly client: string
  readonly noted: readonly string[]
}

/** Handlers around the middlewares under test; `note` records the events that they see. */
type Program = (middlewares: readonly Handler[], note: (what: string) => void) => Handler[]

function code(error: unknown): string {
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

const faulty: Record<string, Program> = {
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
const destroying: Record<string, (error?: Error) => Program> = {
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

for (const { name, mount } of hosts) {
  describe(`a handler that misbehaves (${name})`, () => {
    let directory: string

    beforeEach(() => {
      directory = emptyDirectory()
    })
    // Not after each: a file may be on its way to being opened, and unlinked, still.
    after(removeDirectories)
    afterEach(async () => {
      await closeServers()
      await allClosedIn(directory)
    })

    async function outcome(program: Program, chain: readonly Handler[], whole: boolean): Promise<Outcome> {
      const noted: string[] = []
      const note = (what: string): void => void noted.push(what)
      // What is written after the end; else it would end the process.
      const listen: Handler = (_req, res, next) => {
        res.on('error', (error) => note(code(error)))
        next()
      }
      const { port } = await serve(mount(listen, ...program(chain, note)))
      const client = await RawClient.connect(port)
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n${whole ? 'the body' : 'the '}`)
      const got = await client.response().then(
        ({ status, body }) => `${status} ${body.toString()}`,
        (error: Error) => error.message.replace(/ended|failed \(\w+\)/, 'is over'),
      )
      // Whoever reads on after the answer is done by then.
      if (whole) await new Promise(setImmediate)
      client.destroy()
      return { client: got, noted }
    }

    for (const [what, chain] of Object.entries(chains)) {
      for (const [fault, program] of Object.entries(faulty)) {
        it(`${fault}: has the same outcome as without ${what}`, async () => {
          const expected = await outcome(program, [], true)
          expect(expected.client).to.match(/^200 first/)
          expect(await outcome(program, chain(directory), true)).to.deep.equal(expected)
        })
      }

      if (!isThorough && !keeps(what)) continue
      for (const [moment, programOf] of Object.entries(destroying)) {
        for (const error of [undefined, new Error('destroyed by the app')]) {
          for (const whole of [true, false]) {
            const body = whole ? 'its body' : 'a part of its body'
            it(`destroys a request of which it has ${body} ${moment}${error ? ', with an error' : ''}: ends as without ${what}`, async () => {
              const program = programOf(error)
              if (!whole && moment === 'when all is read') return
              const expected = await outcome(program, [], whole)
              const found = await outcome(program, chain(directory), whole)
              expect(found.client).to.equal(expected.client)
            })
          }
        }
      }
    }

    it('destroys a proxied request: reads nothing more from the upstream', async () => {
      const upstream = await serve((_req, res) => void res.write('begun'))
      const proxy = passthroughProxy(upstream.url)
      for (const moment of ['before', 'at once', 'in the answer']) {
        let destroy = (): void => {}
        const { port } = await serve(
          mount((req, res, next) => {
            destroy = () => void req.destroy()
            if (moment === 'before') req.destroy()
            proxy(req, res, next)
            if (moment === 'at once') req.destroy()
          }),
        )
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nthe ')
        if (moment === 'in the answer') {
          await client.untilText('begun')
          destroy()
        }
        await client.closed()
      }
    })
  })
}
