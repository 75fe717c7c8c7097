// What a proxy must do before its price is of interest. A check throws, saying what it saw instead. One that guards
// timed work takes a proxy that fails it out of that work; the others are shown beside the figures.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { ITEMS, SIZES, bytesOf } from '../upstream/answers.mjs'

const PATIENCE = 5000
const large = bytesOf(SIZES['10m'])

const checks = [
  check('GET: the same bytes', ['get', 'sequential'], async ({ ask }) => {
    same((await ask('GET', '/items')).body, ITEMS.toString())
  }),
  check('POST: the body is echoed', ['post'], async ({ ask }) => {
    const body = 'x'.repeat(100_000)
    same(sha256((await ask('POST', '/echo', { body })).body), sha256(body))
  }),
  check('10 MB down: the same hash', ['download-100k', 'download-10m'], async ({ ask }) => {
    same(sha256((await ask('GET', '/bytes/10m')).body), sha256(large))
  }),
  check('10 MB up: the same hash', ['upload-10m'], async ({ ask }) => {
    same((await ask('POST', '/digest', { body: large })).body, sha256(large))
  }),
  check('each event arrives before the next is sent', ['events'], async ({ begin }) => {
    const { response, request } = await begin('/beginning', 'event')
    const [first] = await once(response, 'data')
    request.destroy()
    same(String(first), 'first')
  }),
  check('HEAD keeps its Content-Length', [], async ({ ask }) => {
    const { headers, body } = await ask('HEAD', '/bytes/100k')
    same([headers['content-length'], body], [String(SIZES['100k']), ''])
  }),
  check('304 is passed on, with its ETag', [], async ({ ask }) => {
    const { status, headers } = await ask('GET', '/not-modified')
    same([status, headers.etag], [304, '"1"'])
  }),
  check('404 is passed on, with its body', [], async ({ ask }) => {
    const { status, body } = await ask('GET', '/missing')
    same([status, body], [404, 'nothing here'])
  }),
  check('two Set-Cookie lines stay two', [], async ({ ask }) => {
    same((await ask('GET', '/cookies')).headers['set-cookie'], ['a=1; Path=/', 'b=2; Path=/'])
  }),
  check('hop-by-hop headers do not reach the upstream', [], async ({ ask }) => {
    const headers = { Connection: 'keep-alive, X-Hop', 'X-Hop': '1', 'Proxy-Authorization': 'x', TE: 'gzip' }
    const { body } = await ask('GET', '/headers', { headers })
    const names = JSON.parse(body).map((name) => name.toLowerCase())
    const leaked = ['x-hop', 'proxy-authorization', 'te'].filter((name) => names.includes(name))
    same(leaked, [])
  }),
  check('hop-by-hop headers do not reach the client', [], async ({ ask }) => {
    const { headers } = await ask('GET', '/hop-by-hop')
    const leaked = Object.entries({ 'x-hop': '1', 'keep-alive': 'timeout=7' }).filter(
      ([name, value]) => headers[name] === value,
    )
    same(
      leaked.map(([name]) => name),
      [],
    )
  }),
  check("the upstream's Connection: close leaves the client's connection open", [], async ({ ask }) => {
    const first = await ask('GET', '/hop-by-hop')
    const second = await ask('GET', '/items')
    same(first.port === second.port ? 'the same connection' : 'a new connection', 'the same connection')
  }),
  check('the connection to the upstream is used again', [], async ({ ask }) => {
    const first = await ask('GET', '/connection')
    const second = await ask('GET', '/connection')
    same(first.body === second.body ? 'the same connection' : 'a new connection', 'the same connection')
  }),
  check('a client that leaves before the head ends the upstream request', [], async ({ leave }) => {
    same(await leave('/silence', 'before-head'), 'left')
  }),
  check('a client that leaves within the body ends the upstream request', [], async ({ leave }) => {
    same(await leave('/beginning', 'within-body'), 'left')
  }),
]

function check(title, guards, run) {
  return { title, guards, run }
}

/**
 * Runs the checks on what listens at `port`, in front of `upstream` (a URL). Gives `failed`, titles with what was seen
 * instead, and `excluded`, the names of the works it must not be timed with.
 */
export async function checkCorrectness({ port, upstream, id, only = () => true }) {
  const failed = {}
  const excluded = new Set()
  for (const { title, guards, run } of checks.filter(only)) {
    const client = new Client(port, upstream, id)
    try {
      await withPatience(run(client))
    } catch (error) {
      failed[title] = error.message.slice(0, 200)
      for (const work of guards) excluded.add(work)
    } finally {
      client.agent.destroy()
    }
  }
  return { failed, excluded: [...excluded] }
}

export const titles = checks.map(({ title }) => title)

/** What the floor can be held to: it is no proxy, it only gives the same answers. */
export function isOfAnswers({ title }) {
  return title.startsWith('GET') || title.startsWith('10 MB down')
}

class Client {
  agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(port, upstream, id) {
    this.port = port
    this.upstream = upstream
    this.id = id
    this.ask = this.ask.bind(this)
    this.begin = this.begin.bind(this)
    this.leave = this.leave.bind(this)
  }

  send(method, path, { headers = {}, body } = {}) {
    const request = httpRequest({
      port: this.port,
      host: '127.0.0.1',
      method,
      path,
      headers,
      agent: this.agent,
    })
    request.on('error', () => {})
    request.end(body)
    return request
  }

  async ask(method, path, options) {
    const request = this.send(method, path, options)
    const [response] = await Promise.race([once(request, 'response'), closed(request)])
    const port = request.socket.localPort
    response.setEncoding('latin1')
    const body = await text(response)
    return { status: response.statusCode, headers: response.headers, body, port }
  }

  /** The head of an answer that goes on. */
  async begin(path, name) {
    const request = this.send('GET', `${path}?${this.id}-${name}`)
    const [response] = await Promise.race([once(request, 'response'), closed(request)])
    response.on('error', () => {})
    return { request, response }
  }

  /** Leaves a request once it is at the upstream, and gives what the upstream saw. */
  async leave(path, name) {
    const key = `${this.id}-${name}`
    const request = this.send('GET', `${path}?${key}`)
    if (path === '/beginning') await once(request, 'response')
    else await this.arrived(key)
    request.destroy()
    return (await fetch(`${this.upstream}/left?${key}`)).text()
  }

  async arrived(key) {
    const answer = await fetch(`${this.upstream}/arrived?${key}`)
    same(await answer.text(), 'here')
  }
}

async function closed(request) {
  await once(request, 'close')
  throw new Error('the connection was closed without an answer')
}

function withPatience(promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${PATIENCE} ms`)), PATIENCE)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

function same(seen, right) {
  const [got, wanted] = [JSON.stringify(seen), JSON.stringify(right)]
  if (got !== wanted) throw new Error(`${got} instead of ${wanted}`)
}

function sha256(bytes) {
  return createHash('sha256').update(bytes, 'latin1').digest('hex')
}
