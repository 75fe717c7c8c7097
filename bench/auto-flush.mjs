// What autoFlush costs: a whole `res.json` answer, a server-sent event of 80 bytes, and a stream of 10 MB, through gzip
// and without; and how many writes to its socket each of them takes.
import { once } from 'node:events'
import http from 'node:http'
import zlib from 'node:zlib'
import compression from 'compression'
import { autoFlush } from '../dist/esm/auto-flush.js'
import { comparePaired, openGets, ratioGoal } from './measure/paired.mjs'

export const run = (options) => comparePaired(import.meta.url, options)
export const countsWrites = true

const EVENT = 80
const PER_STREAM = 4000
const PIECE = 64 * 1024
/** Lines that gzip makes smaller by some nine tenths. */
const piece = Buffer.from(Array.from({ length: 1000 }, (_, n) => event(n)).join('')).subarray(0, PIECE)
const PIECES = 160

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
      'never flushed': [gzip, stream({ burst: 10 })],
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
      'without, again': [stream({ burst: 10 })],
      'autoFlush()': [autoFlush(), stream({ burst: 10 })],
      'autoFlush({ sync })': [autoFlush({ sync: true }), stream({ burst: 10 })],
    }),
    download('a stream of 10 MB as it is', { rounds: 15, amount: 3 }, [sendPieces]),
    download('a stream of 10 MB through gzip', { rounds: 7, amount: 1 }, [gzip, sendPieces]),
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
  return { title, unit: 'event', rounds: 7, amount: 1, variants, open: openEvents, goals }
}

const openEvents = (target) => openStreams(target, { units: PER_STREAM, length: PER_STREAM * EVENT })
const openDownloads = (target) => openStreams(target, { units: 1, length: PIECE * PIECES })

function download(title, { rounds, amount }, handlers) {
  return {
    title,
    unit: 'stream',
    rounds,
    amount,
    variants: {
      without: handlers,
      'without, again': handlers,
      'with autoFlush': [autoFlush(), ...handlers],
    },
    open: openDownloads,
  }
}

/** As fast as the client takes them. */
async function sendPieces(_req, res) {
  res.type('text/plain')
  for (let n = 0; n < PIECES; n++) if (!res.write(piece)) await once(res, 'drain')
  res.end()
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

/** One stream after the other; each is `units` of work, and `length` bytes long once it is decompressed. */
function openStreams(target, { units, length }) {
  return {
    async run(amount) {
      const counts = { units: amount * units, errors: 0, bytes: 0 }
      for (let n = 0; n < amount; n++) {
        const { bytes, decompressed } = await readStream(target)
        counts.bytes += bytes
        if (decompressed !== length) counts.errors++
      }
      return counts
    },
    close: () => undefined,
  }
}

async function readStream({ port, path }) {
  const request = http.get({ port, path, agent: false, headers: { 'Accept-Encoding': 'gzip' } })
  const [response] = await once(request, 'response')
  const body = Buffer.concat(await response.toArray())
  const text = response.headers['content-encoding'] === 'gzip' ? zlib.gunzipSync(body) : body
  return { bytes: body.length, decompressed: text.length }
}
