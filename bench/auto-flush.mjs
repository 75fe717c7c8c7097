// What autoFlush costs: a whole `res.json` answer, and a server-sent event of 80 bytes, through gzip and without.
import { once } from 'node:events'
import http from 'node:http'
import zlib from 'node:zlib'
import compression from 'compression'
import { autoFlush } from '../dist/esm/auto-flush.js'
import { comparePaired, openGets, ratioGoal } from './measure/paired.mjs'

export const run = (options) => comparePaired(import.meta.url, options)

const EVENT = 80
const PER_STREAM = 4000

const empty = (_req, _res, next) => next()
const answer = (_req, res) => res.json({ hello: 'world', n: 0 })

export function cases() {
  const gzip = compression()
  return [
    wholeAnswer(),
    events('server-sent events through gzip, one a turn', goalsOfEvents, {
      'res.flush() after each write': [gzip, stream({ flush: true })],
      'autoFlush()': [autoFlush(), gzip, stream()],
      "autoFlush({ coalesce: 'tick' })": [autoFlush({ coalesce: 'tick' }), gzip, stream()],
      'autoFlush({ coalesce: 10 })': [autoFlush({ coalesce: 10 }), gzip, stream()],
      'never flushed': [gzip, stream()],
    }),
    events('server-sent events through gzip, ten a turn', undefined, {
      'res.flush() after each write': [gzip, stream({ burst: 10, flush: true })],
      'autoFlush()': [autoFlush(), gzip, stream({ burst: 10 })],
    }),
    events('server-sent events as they are, one a turn', undefined, {
      without: [stream()],
      'autoFlush()': [autoFlush(), stream()],
      'autoFlush({ filter })': [autoFlush({ filter: () => true }), stream()],
      'autoFlush({ heartbeatMs })': [autoFlush({ heartbeatMs: 15_000 }), stream()],
      'autoFlush({ sync })': [autoFlush({ sync: true }), stream()],
    }),
    events('server-sent events as they are, ten a turn', undefined, {
      without: [stream({ burst: 10 })],
      'autoFlush({ sync })': [autoFlush({ sync: true }), stream({ burst: 10 })],
    }),
  ]
}

function wholeAnswer() {
  return {
    title: 'res.json, beside an empty middleware',
    amount: 500,
    variants: {
      without: [empty, answer],
      'without, again': [empty, answer],
      'with autoFlush': [autoFlush(), answer],
    },
    open: (target) => openGets({ ...target, expected: Buffer.from('{"hello":"world","n":0}') }),
    goals: ratioGoal('autoFlush, res.json', 'with autoFlush', 1.03),
  }
}

function goalsOfEvents({ 'res.flush() after each write': flush, 'autoFlush()': own }) {
  return [
    {
      text: 'autoFlush, event through gzip, CPU against res.flush()',
      limit: 1,
      value: own.ratio,
      quietest: own.quietest,
    },
    {
      text: 'autoFlush, event through gzip, bytes against res.flush()',
      limit: 0.25,
      value: own.bytes / flush.bytes,
    },
  ]
}

/** `amount` is of streams, a round of them takes long. */
function events(title, goals, variants) {
  return { title, unit: 'event', rounds: 7, amount: 1, variants, open: openStream, goals }
}

function stream({ burst = 1, flush = false } = {}) {
  return async (_req, res) => {
    res.type('text/event-stream')
    for (let n = 0; n < PER_STREAM; n++) {
      res.write(event(n))
      if (flush) res.flush()
      if ((n + 1) % burst === 0) await new Promise(setImmediate)
    }
    res.end()
  }
}

function event(n) {
  const word = (Math.imul(n, 2654435761) >>> 8).toString(36)
  return `data: {"id":"chatcmpl-9f","delta":{"content":"${word}"}}`.padEnd(EVENT - 2) + '\n\n'
}

function openStream({ port, path }) {
  const read = async () => {
    const request = http.get({ port, path, agent: false, headers: { 'Accept-Encoding': 'gzip' } })
    const [response] = await once(request, 'response')
    const body = Buffer.concat(await response.toArray())
    const text = response.headers['content-encoding'] === 'gzip' ? zlib.gunzipSync(body) : body
    return { bytes: body.length, errors: text.length === PER_STREAM * EVENT ? 0 : 1 }
  }
  return { run: async () => ({ units: PER_STREAM, ...(await read()) }), close: () => undefined }
}
