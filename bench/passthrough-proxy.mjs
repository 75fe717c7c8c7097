// CPU per request of passthroughProxy and its peers, each in a process of its own: what a proxy costs above the bare
// Express handler beside it. CPU time, not throughput, so that other work on the machine matters little.
//
//   node bench/passthrough-proxy.mjs [requests per round] [rounds]
import { fork } from 'node:child_process'
import { createServer, Agent as HttpAgent } from 'node:http'
import net from 'node:net'
import { fileURLToPath } from 'node:url'

const CONNECTIONS = 32
const BODY = JSON.stringify({ items: Array.from({ length: 8 }, (_, id) => ({ id, name: `item ${id}` })) })

/** Servers by name; each gives a port. */
const servers = {
  'express, no proxy': () => express((app) => app.use((_req, res) => answer(res))),
  'sluiceway passthroughProxy': (upstream) =>
    express(async (app) => {
      const { passthroughProxy } = await import('../dist/esm/index.js')
      app.use(passthroughProxy(upstream))
    }),
  'http-proxy, keep-alive agent': (upstream) =>
    express(async (app) => {
      const { default: httpProxy } = await import('http-proxy')
      const proxy = httpProxy.createProxyServer({ target: upstream, agent: keepAlive() })
      app.use((req, res, next) => proxy.web(req, res, {}, next))
    }),
  'httpxy, keep-alive agent': (upstream) =>
    express(async (app) => {
      const { createProxyServer } = await import('httpxy')
      const proxy = createProxyServer({ target: upstream, agent: keepAlive() })
      app.use((req, res, next) => proxy.web(req, res).then(undefined, next))
    }),
  'http-proxy-middleware, keep-alive agent': (upstream) =>
    express(async (app) => {
      const { createProxyMiddleware } = await import('http-proxy-middleware')
      app.use(createProxyMiddleware({ target: upstream, agent: keepAlive() }))
    }),
  '@fastify/http-proxy (no Express)': async (upstream) => {
    const { default: fastify } = await import('fastify')
    const { default: httpProxy } = await import('@fastify/http-proxy')
    const app = fastify()
    await app.register(httpProxy, { upstream })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return app.server.address().port
  },
}

const [role, ...rest] = process.argv.slice(2)
if (role === 'upstream') await serveUpstream()
else if (role === 'server') await serveEntry(...rest)
else await compare(Number(role ?? 3000), Number(rest[0] ?? 15))

async function compare(requests, rounds) {
  const upstream = await start('upstream')
  const url = `http://127.0.0.1:${upstream.port}`
  const entries = []
  for (const name of Object.keys(servers)) {
    const entry = { name, ...(await start('server', name, url)), figures: { GET: [], POST: [] } }
    await requireCorrect(entry)
    for (const method of ['GET', 'POST']) await load(entry.port, method, 10_000)
    entries.push(entry)
  }
  // Round by round, so that a slow minute of the machine falls on all of them.
  for (let round = 0; round < rounds; round++) {
    for (const entry of entries) {
      for (const method of ['GET', 'POST']) entry.figures[method].push(await measure(entry, method, requests))
    }
  }
  print(entries)
  for (const { child } of [...entries, upstream]) child.kill()
}

async function measure({ port, child }, method, requests) {
  const before = await cpu(child)
  await load(port, method, requests)
  return ((await cpu(child)) - before) / requests
}

function print(entries) {
  for (const method of ['GET', 'POST']) {
    const { length } = entries[0].figures[method]
    console.log(`\n${method}: CPU in microseconds per request, median and lowest of ${length} rounds`)
    console.table(
      Object.fromEntries(entries.map(({ name, figures }) => [name, row(entries, method, figures[method])])),
    )
  }
}

/** Other work on the machine only ever adds to a figure, so the lowest says most on a busy one. */
function row([bare, own], method, figures) {
  const above = (kind, of) => kind(of) - kind(bare.figures[method])
  const share = (kind) => (above(kind, own.figures[method]) / above(kind, figures)).toFixed(2)
  return {
    median: median(figures).toFixed(0),
    'above Express': above(median, figures).toFixed(0),
    'sluiceway / this': share(median),
    lowest: lowest(figures).toFixed(0),
    'lowest above': above(lowest, figures).toFixed(0),
    'lowest / this': share(lowest),
  }
}

function median(figures) {
  const sorted = figures.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1]
}

function lowest(figures) {
  return Math.min(...figures)
}

/** The answer must be whole before its price is of interest. */
async function requireCorrect({ name, port }) {
  const url = `http://127.0.0.1:${port}`
  const got = await (await fetch(`${url}/items?x=1`)).text()
  if (got !== BODY) throw new Error(`${name}: GET gave ${JSON.stringify(got)}`)
  if (name === 'express, no proxy') return
  const body = 'x'.repeat(100_000)
  const echoed = await (await fetch(`${url}/echo`, { method: 'POST', body })).text()
  if (echoed !== body) throw new Error(`${name}: POST gave ${echoed.length} of ${body.length} bytes`)
}

/** Sends requests one after the other on each of some kept connections. */
function load(port, method, requests) {
  const head = `${method} /items?x=1 HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\nAccept-Language: en\r\nCookie: session=0123456789\r\nUser-Agent: bench\r\n`
  const message =
    method === 'POST'
      ? `${head}Content-Type: text/plain\r\nContent-Length: 300\r\n\r\n${'x'.repeat(300)}`
      : `${head}\r\n`
  let left = requests
  return Promise.all(
    Array.from({ length: CONNECTIONS }, () => {
      const socket = net.connect(port, '127.0.0.1').setNoDelay(true)
      let received = ''
      const next = () => (left-- > 0 ? socket.write(message) : socket.end())
      socket.on('connect', next)
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1')
        if (received.endsWith(BODY) || received.endsWith('\r\n0\r\n\r\n')) {
          if (!received.startsWith('HTTP/1.1 200')) throw new Error(received)
          received = ''
          next()
        }
      })
      return new Promise((resolve, reject) => socket.on('close', resolve).on('error', reject))
    }),
  )
}

function start(...argv) {
  const child = fork(fileURLToPath(import.meta.url), argv, {
    env: { ...process.env, NODE_ENV: 'production' },
  })
  return new Promise((resolve, reject) => {
    child.once('message', (port) => resolve({ child, port }))
    child.once('exit', (code) => reject(new Error(`${argv.join(' ')} ended with ${code}`)))
  })
}

function cpu(child) {
  return new Promise((resolve) => {
    child.once('message', resolve)
    child.send('cpu')
  })
}

async function serveUpstream() {
  const server = createServer((req, res) => {
    if (req.url === '/echo') req.pipe(res)
    else req.resume().on('end', () => answer(res))
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
}

async function serveEntry(name, upstream) {
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send(user + system)
  })
  process.send(await servers[name](upstream))
}

async function express(prepare) {
  const { default: createApp } = await import('express')
  const app = createApp()
  await prepare(app)
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port))
    server.keepAliveTimeout = 60_000
  })
}

function keepAlive() {
  return new HttpAgent({ keepAlive: true, maxSockets: 128 })
}

function answer(res) {
  res.setHeader('Content-Type', 'application/json')
  res.setHeader('Content-Length', Buffer.byteLength(BODY))
  res.end(BODY)
}
