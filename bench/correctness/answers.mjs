// What the upstream answers to the checks.
import { createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'

/** Requests that are waiting, by their id, and who waits for them. */
const waiting = new Map()
const arrivals = new EventEmitter()

const answers = {
  echo: (req, res) => req.pipe(res),
  async digest(req, res) {
    const hash = createHash('sha256')
    for await (const chunk of req) hash.update(chunk)
    res.end(hash.digest('hex'))
  },
  headers: (req, res) => res.end(JSON.stringify(req.rawHeaders)),
  connection: (req, res) => res.end(String(req.socket.remotePort)),
  'not-modified': (_req, res) => res.writeHead(304, { ETag: '"1"' }).end(),
  missing: (_req, res) => res.writeHead(404, { 'Content-Type': 'text/plain' }).end('nothing here'),
  cookies: (_req, res) => res.writeHead(200, { 'Set-Cookie': ['a=1; Path=/', 'b=2; Path=/'] }).end('cookies'),
  'hop-by-hop': (_req, res) =>
    res
      .writeHead(200, {
        Connection: 'close, X-Hop',
        'X-Hop': '1',
        'Keep-Alive': 'timeout=7',
        'Content-Length': 3,
      })
      .end('hop'),
  /** Never answers. */
  silence(req, res, id) {
    const left = new Promise((resolve) => res.on('close', resolve))
    waiting.set(id, { left })
    arrivals.emit(id)
  },
  /** A head and a first piece, then nothing. */
  beginning(req, res, id) {
    answers.silence(req, res, id)
    res.write('first')
  },
  /** Answers once a request of that id is here. */
  async arrived(_req, res, id) {
    if (!waiting.has(id)) await once(arrivals, id)
    res.end('here')
  },
  /** Answers once a request of that id has been left alone, or tells that it has not. */
  async left(_req, res, id) {
    const late = new Promise((resolve) => setTimeout(resolve, 1000, 'still there'))
    res.end(await Promise.race([waiting.get(id).left.then(() => 'left'), late]))
  },
}

/** Answers a request of a check; false for a path that is none. */
export function answerCheck(req, res) {
  const [, name, argument] = req.url.split(/[/?]/)
  if (!Object.hasOwn(answers, name)) return false
  void answers[name](req, res, argument)
  return true
}
