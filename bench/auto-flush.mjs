// What autoFlush costs: CPU of a whole `res.json` answer with and without it, and CPU and wire bytes of a server-sent
// event through gzip, against `res.flush()` after each write. `node bench/auto-flush.mjs [rounds] [streams]`, after `npm run build`;
// with `streams` the events alone.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import zlib from 'node:zlib'
import compression from 'compression'
import express from 'express'
import { autoFlush } from '../dist/esm/auto-flush.js'

const ROUNDS = Number(process.argv[2] ?? 60) || 60
const REQUESTS = 500
const EVENTS = 4000
const event = (n) =>
  `data: {"id":"chatcmpl-9f","delta":{"content":"${(Math.imul(n, 2654435761) >>> 8).toString(36)}"}}`.padEnd(
    78,
  ) + '\n\n'

const empty = (_req, _res, next) => next()
// The second empty middleware shows how far two equal variants come apart on this machine.
const json = { without: [empty], again: [empty], 'with autoFlush': [autoFlush()] }
const gzip = compression()
const streams = {
  'gzip, never flushed': { use: [gzip] },
  'gzip, res.flush() after each write': { use: [gzip], flush: true },
  'gzip, autoFlush': { use: [autoFlush(), gzip] },
  "gzip, autoFlush({ coalesce: 'tick' })": { use: [autoFlush({ coalesce: 'tick' }), gzip] },
  'gzip, autoFlush({ coalesce: 10 })': { use: [autoFlush({ coalesce: 10 }), gzip] },
  'gzip, res.flush() after each write, ten to a tick': { use: [gzip], burst: 10, flush: true },
  'gzip, autoFlush, ten to a tick': { use: [autoFlush(), gzip], burst: 10 },
  'as it is': { use: [] },
  'as it is, autoFlush': { use: [autoFlush()] },
  'as it is, autoFlush({ filter })': { use: [autoFlush({ filter: () => true })] },
  'as it is, autoFlush({ heartbeatMs })': { use: [autoFlush({ heartbeatMs: 15_000 })] },
  'as it is, autoFlush({ sync })': { use: [autoFlush({ sync: true })] },
  'as it is, ten to a tick': { use: [], burst: 10 },
  'as it is, autoFlush({ sync }), ten to a tick': { use: [autoFlush({ sync: true })], burst: 10 },
}

if (process.argv[2] === 'server') await serve()
else await measure()

async function serve() {
  const app = express()
  Object.values(json).forEach((use, i) => {
    const variant = express()
    for (const middleware of use) variant.use(middleware)
    variant.get('/', (_req, res) => res.json({ hello: 'world', n: 0 }))
    app.use(`/json${i}`, variant)
  })
  Object.values(streams).forEach(({ use, burst = 1, flush = false }, i) => {
    app.get(`/stream${i}`, ...use, async (_req, res) => {
      res.type('text/event-stream')
      for (let n = 0; n < EVENTS; n++) {
        res.write(event(n))
        if (flush) res.flush()
        if ((n + 1) % burst === 0) await new Promise(setImmediate)
      }
      res.end()
    })
  })
  const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('message', () => process.send(process.cpuUsage()))
}

async function measure() {
  console.log(`Node ${process.version}, ${os.cpus()[0].model}, ${os.cpus().length} cores; ${ROUNDS} rounds`)
  const server = fork(fileURLToPath(import.meta.url), ['server'])
  const [port] = await once(server, 'message')
  const cpuOf = async (work) => {
    const before = await cpu(server)
    const result = await work()
    const after = await cpu(server)
    return { result, us: after.user + after.system - before.user - before.system }
  }
  if (!process.argv.includes('streams')) await measureJson(port, cpuOf)
  await measureStreams(port, cpuOf)
  server.kill()
}

async function cpu(server) {
  const answered = once(server, 'message')
  server.send('cpu')
  return (await answered)[0]
}

/** The rounds take the variants in turn, so that what else runs on the machine hits all of them alike. */
async function measureJson(port, cpuOf) {
  const names = Object.keys(json)
  const runs = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = -5; round < ROUNDS; round++) {
    for (let k = 0; k < names.length; k++) {
      const i = (k + Math.abs(round)) % names.length
      const { us } = await cpuOf(() => getMany(port, `/json${i}/`, REQUESTS))
      if (round >= 0) runs[names[i]].push(us / REQUESTS)
    }
  }
  console.log(
    `\nres.json, CPU of a whole answer, against an empty middleware (median of ${ROUNDS} runs of ${REQUESTS} requests, 8 connections)`,
  )
  for (const name of names) {
    const ratios = runs[name].map((us, round) => us / runs.without[round])
    console.log(
      `  ${name.padEnd(16)} ${median(runs[name]).toFixed(1)} us, ${median(ratios).toFixed(3)} of without, fastest fifth below ${fifth(runs[name]).toFixed(1)} us`,
    )
  }
}

async function getMany(port, path, count) {
  let left = count
  const request = `GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`
  const connection = async () => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    for (; left > 0; left--) {
      socket.write(request)
      const [answer] = await once(socket, 'data')
      if (!String(answer).endsWith('{"hello":"world","n":0}')) throw new Error(`wrong answer: ${answer}`)
    }
    socket.destroy()
  }
  await Promise.all(Array.from({ length: 8 }, connection))
}

async function measureStreams(port, cpuOf) {
  const names = Object.keys(streams)
  const runs = names.map(() => [])
  const wire = []
  const rounds = Math.max(3, Math.round(ROUNDS / 10))
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const { result, us } = await cpuOf(() => stream(port, `/stream${i}`))
      wire[i] = result
      if (round >= 0) runs[i].push(us / EVENTS)
    }
  }
  console.log(`\nserver-sent events of 80 bytes (median of ${rounds} runs of ${EVENTS} events)`)
  names.forEach((name, i) => {
    console.log(
      `  ${name.padEnd(50)} ${median(runs[i]).toFixed(1)} us and ${(wire[i] / EVENTS).toFixed(1)} bytes an event`,
    )
  })
}

async function stream(port, path) {
  const request = http.get({ port, path, agent: false, headers: { 'Accept-Encoding': 'gzip' } })
  const [response] = await once(request, 'response')
  const chunks = await response.toArray()
  const body = Buffer.concat(chunks)
  const text = response.headers['content-encoding'] === 'gzip' ? zlib.gunzipSync(body) : body
  if (text.length !== EVENTS * 80) throw new Error('wrong stream')
  return body.length
}

function fifth(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 5)]
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
