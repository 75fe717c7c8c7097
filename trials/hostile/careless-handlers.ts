import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, type Readable, Writable } from 'node:stream'

/** What a careless handler has to do with: one request and its response. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** Hands the request on to what is mounted behind the handler. */
  readonly next: () => void
}

type Act = (exchange: Exchange) => unknown

/** Everything a handler does without a thought for the rest of the request. */
export const acts: Readonly<Record<string, Act>> = {
  'req.destroy()': ({ req }) => req.destroy(),
  'req.destroy(error)': ({ req }) => req.on('error', ignore).destroy(new Error('by the application')),
  'res.destroy()': ({ res }) => res.destroy(),
  'res.write()': ({ res }) => void (isOpen(res) && res.write('begun ')),
  'res.end()': ({ res }) => void (isOpen(res) && res.end('answered')),
  'req.pause()': ({ req }) => req.pause(),
  'req.resume()': ({ req }) => req.resume(),
  'req.unpipe()': ({ req }) => req.unpipe(),
  'req.setEncoding()': ({ req }) => req.setEncoding('latin1'),
  'req.socket.end()': ({ req }) => req.socket?.end(),
  'req.socket.destroy()': ({ req }) => req.socket?.destroy(),
  'read half': readHalf,
  'pipe to a slow writable': ({ req }) => req.pipe(slowWritable()),
  'pipe to the response': ({ req, res }) => void (isOpen(res) && req.pipe(res.on('error', ignore))),
  'iterate and break': iterateOnce,
  'read it all': ({ req, res }) => req.on('data', ignore).on('end', () => isOpen(res) && res.end('read')),
  'destroy a stream of it': ({ req }) => readerOf(req).destroy(),
  'open a stream of it': ({ req }) => readerOf(req).on('error', ignore),
  'read it by an accessor': ({ req }) => wholeOf(req).catch(ignore),
  'read it by an accessor, unawaited': ({ req }) => void wholeOf(req),
  'await it late': ({ req, res }) => answerLate(wholeOf(req), res),
  'hand it on': ({ next }) => next(),
}

/** Those after which the rest of the body may never be read. */
export const stoppingActs: ReadonlySet<string> = new Set([
  'req.pause()',
  'req.unpipe()',
  'read half',
  'iterate and break',
  'destroy a stream of it',
  'open a stream of it',
  'pipe to a slow writable',
  'pipe to the response',
])

function isOpen(res: ServerResponse): boolean {
  return !res.writableEnded && !res.destroyed
}

/** Without bodyCache a second stream is one that the request is piped into; to destroy it leaves the request alone. */
function readerOf(req: IncomingMessage): Readable {
  return (req.bodyCache as typeof req.bodyCache | undefined)?.stream() ?? req.pipe(new PassThrough())
}

/** Without bodyCache a promise that settles only with the end of the body, as many a hand-written reader does. */
function wholeOf(req: IncomingMessage): Promise<unknown> {
  const accessors = req.bodyCache as typeof req.bodyCache | undefined
  return accessors?.buffer() ?? new Promise((resolve) => void req.on('data', ignore).on('end', resolve))
}

function readHalf({ req }: Exchange): void {
  let left = Number(req.headers['content-length'] ?? 2000) / 2
  req.on('data', function take(chunk: Buffer) {
    left -= chunk.length
    if (left < 0) req.off('data', take).pause()
  })
}

async function iterateOnce({ req }: Exchange): Promise<void> {
  try {
    for await (const _chunk of req) break
  } catch {
    // The client has gone.
  }
}

async function answerLate(whole: Promise<unknown>, res: ServerResponse): Promise<void> {
  await new Promise((resolve) => void setTimeout(resolve, 5))
  const status = await whole.then(
    () => 200,
    () => 400,
  )
  if (isOpen(res) && !res.headersSent) res.writeHead(status).end('late')
}

function slowWritable(): Writable {
  return new Writable({
    highWaterMark: 1024,
    write(_chunk, _encoding, done) {
      setTimeout(done, 2)
    },
  }).on('error', ignore)
}

function ignore(): void {}

/** When an act happens: at once, in a later turn, with the first byte of the body, or after some milliseconds. */
export type Moment = 'at once' | 'next turn' | 'first byte' | number

export interface Step {
  readonly act: string
  readonly at: Moment
}

/** Does the steps of a case to one exchange, each at its own moment. */
export function doCarelessly(steps: readonly Step[], exchange: Exchange): void {
  for (const { act, at } of steps) {
    const run = (): void => void acts[act]?.(exchange)
    if (at === 'at once') run()
    else if (at === 'next turn') setImmediate(run)
    else if (at === 'first byte') exchange.req.once('data', run)
    else setTimeout(run, at)
  }
}
