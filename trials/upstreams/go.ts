import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { keptConnections, ask, type Question, send, statusOf } from './asking.js'
import { compareAll, type Ways } from './compare.js'
import { freePort, printed, requireProgram, source, startServer, temporaryFolder } from './program.js'
import { proxyTo } from './proxy.js'
import { spacedRequests } from './spaced.js'
import type { Trial } from './trial.js'
import { drippedBy } from './uploads.js'

/** Go's net/http. */
export async function go(trial: Trial): Promise<void> {
  const compiler = requireProgram('go', 'golang-go')
  trial.server = printed(compiler, 'version')
  const program = path.join(temporaryFolder(), 'server')
  execFileSync(compiler, ['build', '-o', program, source('servers/main.go')], { stdio: 'inherit' })
  const port = await freePort()
  await startServer(program, [String(port)], port)
  const direct = `http://127.0.0.1:${port}`
  const options = { preserveHost: true, forwarded: false, upgrade: ['websocket', 'echo'] } as const
  const ways: Ways = { trial, direct, proxy: await proxyTo(direct, options) }
  await compareAll(ways, questions)
  await upgrades(ways)
  await duplex(ways)
  await many(ways)
  await spacedRequests(trial, ways.proxy, 1000, { path: '/file' })
}

const file = (headers: Record<string, string>): Question => ({ path: '/file', headers })

const questions: Readonly<Record<string, Question>> = {
  GET: { path: '/x?a=%zz' },
  'GET with a body': { body: 'abc', headers: { 'Content-Length': '3' } },
  POST: { method: 'POST', body: 'a=b' },
  'POST of nothing': { method: 'POST' },
  'POST of nothing in chunks': { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } },
  'POST, 20 MB': {
    method: 'POST',
    body: drippedBy(20, 1_000_000),
    headers: { 'Content-Length': 20_000_000 },
  },
  'POST in chunks, 20 MB': { method: 'POST', body: drippedBy(20, 1_000_000) },
  'POST with trailers': { method: 'POST', trailers: { 'X-Sum': '1' }, headers: { Trailer: 'X-Sum' } },
  'POST with trailers and TE': {
    method: 'POST',
    trailers: { 'X-Sum': '1', 'X-Other': '2' },
    headers: { Trailer: 'X-Sum, X-Other', TE: 'trailers' },
  },
  'POST with Expect': { method: 'POST', body: 'abc', headers: { Expect: '100-continue' } },
  trailers: { path: '/trailers' },
  'trailers that were not announced': { path: '/late-trailers' },
  'interim responses': { path: '/hints' },
  stream: { path: '/stream' },
  'aborted answer': { path: '/abort' },
  'limited, below': { path: '/limited', method: 'POST', body: 'abc' },
  'limited, above': { path: '/limited', method: 'POST', body: drippedBy(20, 1000) },
  'limited, 20 MB': { path: '/limited', method: 'POST', body: drippedBy(20, 1_000_000) },
  'not read, small': { path: '/unread', method: 'POST', body: 'abc' },
  'not read, 20 MB': { path: '/unread', method: 'POST', body: drippedBy(20, 1_000_000) },
  file: file({}),
  'HEAD of a file': { path: '/file', method: 'HEAD' },
  range: file({ Range: 'bytes=5-10' }),
  'range past the end': file({ Range: 'bytes=999999-' }),
  304: file({ 'If-None-Match': '"tag"' }),
  412: file({ 'If-Match': '"other"' }),
  'redirect to a clean path': { path: '/a/../file' },
  'upgrade that is not made': { path: '/file', headers: { Connection: 'upgrade', Upgrade: 'other' } },
}

/** A tunnel with early bytes, of which each side ends its half first. */
async function upgrades({ trial, direct, proxy }: Ways): Promise<void> {
  for (const [name, script] of [
    ['the client ends first', 'one\ntwo\n'],
    ['the server ends first', 'one\nend\nthree\n'],
  ] as const) {
    const [one, other] = [await tunnel(direct, script), await tunnel(proxy.url, script)]
    trial.holds(`upgrade, ${name}: oracle`, one.includes('early\none\n'), () => one)
    trial.same(`upgrade, ${name}`, one, other)
  }
}

async function tunnel(url: string, script: string): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true })
  const head = 'GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'
  socket.write(head)
  // Until the protocol has changed, a client that ends its half has left.
  socket.once('readable', () => socket.end(script))
  socket.setTimeout(5000, () => socket.destroy())
  const seen = await text(socket).catch((error: Error) => error.message)
  return seen.slice(seen.indexOf('\r\n\r\n'))
}

/** An answer that begins before the request has ended. */
async function duplex({ trial, direct, proxy }: Ways): Promise<void> {
  const [one, other] = [await pingPong(direct), await pingPong(proxy.url)]
  trial.same('answer during the upload', one, other)
}

async function pingPong(url: string): Promise<string> {
  const body = new PassThrough()
  const sent = send(url, {
    path: '/duplex',
    method: 'POST',
    headers: { 'Content-Length': 60 },
    body: () => body,
  })
  const timer = setTimeout(() => sent.destroy(), 5000)
  try {
    body.write('0123456789')
    const [answer] = (await once(sent, 'response')) as [AsyncIterable<Buffer>]
    let seen = ''
    for await (const chunk of answer) {
      seen += chunk.toString()
      if (seen.length < 60) body.write('0123456789')
    }
    body.end()
    return seen
  } catch (error) {
    return String(error)
  } finally {
    clearTimeout(timer)
  }
}

async function many({ trial, proxy }: Ways): Promise<void> {
  const agent = keptConnections(16)
  const asked = Array.from({ length: 1000 }, (_, i) =>
    ask(proxy.url, i % 3 === 0 ? { path: '/file', agent } : { method: 'POST', body: `${i}`, agent }),
  )
  const lost = (await Promise.all(asked)).filter((answer) => statusOf(answer) !== 200)
  agent.destroy()
  trial.holds('1000 × GET and POST', lost.length === 0, () => JSON.stringify(lost))
}
