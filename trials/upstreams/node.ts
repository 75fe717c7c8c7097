import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listen } from '../../test/support/servers/servers.js'
import { keptConnections, ask, type Question, statusOf } from './asking.js'
import { compareAll, type Ways } from './compare.js'
import { echo } from './echo.js'
import { proxyTo } from './proxy.js'
import { spacedRequests } from './spaced.js'
import type { Trial } from './trial.js'
import { drippedBy } from './uploads.js'

/** Node's own server. */
export async function node(trial: Trial): Promise<void> {
  trial.server = `Node ${process.version}`
  const { url, server } = await listen(createServer({ keepAliveTimeout: 1000 }, route))
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    res.writeContinue()
    route(req, res)
  })
  const ways: Ways = {
    trial,
    direct: url,
    proxy: await proxyTo(url, { preserveHost: true, forwarded: false }),
  }
  await compareAll(ways, questions)
  await spacedRequests(trial, ways.proxy, 1000)
  await spacedRequests(trial, ways.proxy, 1000, { method: 'POST', body: 'a=b' })
  await fewRequestsEach(trial)
}

type Handler = (req: IncomingMessage, res: ServerResponse) => void

const answers: Readonly<Record<string, Handler>> = {
  '/trailers': (req, res) => {
    // Where there is no body, Node throws.
    if (req.method !== 'HEAD') {
      res.writeHead(200, { Trailer: 'X-Sum' }).write('a body')
      res.addTrailers({ 'X-Sum': '12' })
    }
    res.end()
  },
  '/hints': (_req, res) => {
    res.writeEarlyHints({ link: '</a.css>; rel=preload' })
    res.writeProcessing()
    res.end('after hints')
  },
  '/cut': (_req, res) => {
    res.writeHead(200, { 'Content-Length': 100 }).write('half')
    setImmediate(() => res.destroy())
  },
  '/cut-chunked': (_req, res) => {
    res.write('half')
    setImmediate(() => res.destroy())
  },
  '/destroyed': (req) => req.destroy(),
  '/closing': (_req, res) => res.writeHead(200, { Connection: 'close' }).end('the last'),
  '/until-close': (_req, res) => {
    res.useChunkedEncodingByDefault = false
    res.writeHead(200, { Connection: 'close' }).write('no ')
    res.end('length')
  },
  '/lines': (_req, res) => {
    const lines = [
      'X-A',
      '1',
      'X-A',
      '2',
      'SET-cookie',
      'a=b',
      'SET-cookie',
      'c=d',
      'X-Empty',
      '',
      'X-L',
      'caf\u00E9',
    ]
    res.writeHead(299, 'Unusual  Words', lines).end('lines')
  },
  '/large-head': (_req, res) => res.writeHead(200, { 'X-Large': 'a'.repeat(15_000) }).end(),
  '/many-lines': (_req, res) => {
    for (let i = 0; i < 900; i += 1) res.setHeader(`X-${i}`, i)
    res.end()
  },
  '/204': (_req, res) => res.writeHead(204).end(),
  '/205': (_req, res) => res.writeHead(205).end(),
  '/304': (_req, res) => res.writeHead(304, { 'Content-Length': 1234, ETag: '"x"' }).end(),
  '/early': (_req, res) => res.writeHead(403).end('not read'),
  '/early-closing': (_req, res) => res.writeHead(413, { Connection: 'close' }).end('too large'),
  '/large': (_req, res) => void drippedBy(20, 1_000_000)().pipe(res),
  '/chunks': (_req, res) => {
    for (let i = 0; i < 5000; i += 1) res.write(`${i}\n`)
    res.end()
  },
}

function route(req: IncomingMessage, res: ServerResponse): void {
  // Each would be a difference: the two answers come in different seconds.
  res.sendDate = false
  const answer = answers[req.url ?? '']
  if (answer === undefined) void echo(req, res)
  else answer(req, res)
}

const questions: Readonly<Record<string, Question>> = {
  ...Object.fromEntries(Object.keys(answers).map((path) => [`GET ${path}`, { path }])),
  ...Object.fromEntries(Object.keys(answers).map((path) => [`HEAD ${path}`, { path, method: 'HEAD' }])),
  'large, read slowly': { path: '/large', slowly: true },
  'small chunks, read slowly': { path: '/chunks', slowly: true },
  GET: { path: '/echo?a=%zz&b=//' },
  'GET with a body': { body: 'a body', headers: { 'Content-Length': 6 } },
  'DELETE in chunks': {
    method: 'DELETE',
    body: drippedBy(2, 10),
    headers: { 'Transfer-Encoding': 'chunked' },
  },
  OPTIONS: { method: 'OPTIONS' },
  PROPFIND: { method: 'PROPFIND', body: '<xml/>', headers: { 'Content-Length': 6 } },
  POST: { method: 'POST', body: 'a=b', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
  'POST of nothing': { method: 'POST' },
  'POST of nothing in chunks': { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } },
  'POST, 20 MB': {
    method: 'POST',
    body: drippedBy(20, 1_000_000),
    headers: { 'Content-Length': 20_000_000 },
  },
  'POST in chunks, 20 MB': { method: 'POST', body: drippedBy(20, 1_000_000) },
  'POST in small chunks': { method: 'POST', body: drippedBy(3000, 7) },
  'POST with trailers': { method: 'POST', trailers: { 'X-Sum': '1' }, headers: { Trailer: 'X-Sum' } },
  'POST with Expect': { method: 'POST', body: 'a', headers: { Expect: '100-continue', 'Content-Length': 1 } },
  'repeated lines': { headers: { 'X-A': ['1', '2'], Cookie: ['a=b', 'c=d'] } },
  'bytes of Latin-1': { headers: { 'X-Name': 'caf\u00E9' } },
  'early answer to 20 MB': { path: '/early', method: 'POST', body: drippedBy(20, 1_000_000) },
  'early 413 to 20 MB': { path: '/early-closing', method: 'POST', body: drippedBy(20, 1_000_000) },
}

/** maxRequestsPerSocket: the last answer of a connection says so, and what comes behind it would be a 503. */
async function fewRequestsEach(trial: Trial): Promise<void> {
  const { server, url } = await listen(createServer(route))
  server.maxRequestsPerSocket = 3
  const proxy = await proxyTo(url)
  const agent = keptConnections(4)
  const asked = Array.from({ length: 400 }, () => ask(proxy.url, { agent, method: 'POST', body: 'a=b' }))
  const lost = (await Promise.all(asked)).filter((answer) => statusOf(answer) !== 200)
  agent.destroy()
  trial.holds('400 × POST with maxRequestsPerSocket 3', lost.length === 0, () => JSON.stringify(lost))
}
