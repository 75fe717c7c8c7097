// Clients that ask and wait, and must be served right whatever goes on around them.
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { RawClient } from '../../test/support/clients/raw-client.js'
import { askOverHttp2 } from './http2.js'
import type { Upstream } from './servers.js'

const body = Buffer.from(JSON.stringify({ text: 'as it was sent; '.repeat(6000) }))

/** One thing to ask for; gives 'right', or what was wrong. */
interface Ask {
  readonly what: string
  readonly isProxied: boolean
  readonly run: (port: number, http2Port: number) => Promise<string>
}

const asks: readonly Ask[] = [
  { what: 'a kept body', isProxied: false, run: (port) => echoed(port, '/read') },
  { what: 'a body parsed twice', isProxied: false, run: (port) => parsedTwice(port) },
  { what: 'a refusal', isProxied: false, run: (port) => refused(port) },
  { what: 'events', isProxied: false, run: (port) => events(port) },
  { what: 'a child', isProxied: false, run: (port) => childOutput(port) },
  { what: 'a proxied body', isProxied: true, run: (port) => echoed(port, '/proxied') },
  { what: 'a proxied body', isProxied: true, run: (port) => echoed(port, '/proxied') },
  { what: 'a body over TLS', isProxied: true, run: (port) => echoed(port, '/secure') },
  { what: 'a body that fails over', isProxied: true, run: (port) => echoed(port, '/failover') },
  { what: 'a body changed twice', isProxied: true, run: (port) => echoed(port, '/changed') },
  { what: 'a WebSocket', isProxied: true, run: (port) => webSocketEcho(port, '/proxied/socket') },
  { what: 'a WebSocket over TLS', isProxied: true, run: (port) => webSocketEcho(port, '/secure/socket') },
  { what: 'HTTP/2, kept', isProxied: false, run: (_, port) => echoedOverHttp2(port, '/read') },
  { what: 'HTTP/2, proxied', isProxied: true, run: (_, port) => echoedOverHttp2(port, '/proxied') },
]

/** What an upstream that goes may leave of an answer: a 502, an answer that is visibly cut, a WebSocket that breaks. */
const excuses =
  /^(?:502|200, cut: .*|Unexpected server response: 502|closed with 1006|Stream closed with error code NGHTTP2_INTERNAL_ERROR)$/

/** What was seen: times in milliseconds of what was served right, and what was not, with how often. */
export interface Seen {
  readonly times: number[]
  /** What took longest. */
  slowest: string
  readonly wrong: Map<string, number>
  /** What befell those whose upstream went. */
  readonly excused: Map<string, number>
}

/** Asks for one thing after the other, until `end`. */
export async function behave(
  ports: readonly [port: number, http2Port: number],
  upstream: Upstream,
  end: () => boolean,
  seen: Seen,
): Promise<void> {
  for (let n = Math.floor(Math.random() * asks.length); !end(); n++) {
    const { what, isProxied, run } = asks[n % asks.length] as Ask
    const asked = performance.now()
    const { outages, isUp } = upstream
    const found = await run(...ports).catch((error: Error) => error.message)
    const wasAway = isProxied && !(isUp && upstream.isUp && upstream.outages === outages)
    const time = performance.now() - asked
    if (found === 'right' && time >= Math.max(0, ...seen.times)) seen.slowest = what
    if (found === 'right') seen.times.push(time)
    else count(wasAway && excuses.test(found) ? seen.excused : seen.wrong, found)
  }
}

function count(map: Map<string, number>, what: string): void {
  map.set(what, (map.get(what) ?? 0) + 1)
}

/** Runs `use` with a client of its own. */
async function withClient(port: number, use: (client: RawClient) => Promise<string>): Promise<string> {
  const client = await RawClient.connect(port)
  return use(client).finally(() => client.destroy())
}

function echoed(port: number, path: string): Promise<string> {
  return withClient(port, async (client) => {
    client.request('POST', path, {}, body)
    const { status, body: answer } = await client.response()
    if (status !== 200) return String(status)
    return answer.equals(body) ? 'right' : `${path} said something else`
  })
}

async function echoedOverHttp2(port: number, path: string): Promise<string> {
  const { status, body: answer } = await askOverHttp2(port, path, body)
  if (status !== 200) return String(status)
  return answer.equals(body) ? 'right' : `${path} said something else over HTTP/2`
}

function parsedTwice(port: number): Promise<string> {
  return withClient(port, async (client) => {
    client.request('POST', '/twice', { 'Content-Type': 'application/json' }, body)
    const { first, second } = JSON.parse((await client.response()).body.toString()) as Record<string, unknown>
    const expected = body.toString()
    return [first, second].every((one) => JSON.stringify(one) === expected) ? 'right' : 'parsed wrong'
  })
}

/** An upload that is too long, sent to its end before the answer is read. */
function refused(port: number): Promise<string> {
  return withClient(port, async (client) => {
    client.request('POST', '/read', {}, Buffer.alloc(3_000_000))
    const { status } = await client.response()
    return status === 413 ? 'right' : `${status} instead of 413`
  })
}

function events(port: number): Promise<string> {
  return withClient(port, async (client) => {
    client.request('GET', '/events')
    for (let n = 0; n < 5; n++) {
      const text = await client.untilText(`data: ${n}\n\n`)
      if (text.includes('data: ', text.indexOf('data: ') + 6)) return 'events out of order'
    }
    return 'right'
  })
}

function childOutput(port: number): Promise<string> {
  return withClient(port, async (client) => {
    client.request('GET', '/child/talk')
    const text = (await client.response()).body.toString()
    return text.split('\n').toSorted().join() === ',one,three,two' ? 'right' : `a child said ${text}`
  })
}

async function webSocketEcho(port: number, path: string): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`)
  try {
    await once(socket, 'open')
    for (let n = 0; n < 3; n++) {
      socket.send(`message ${n}`)
      const [said] = await Promise.race([once(socket, 'message'), closing(socket)])
      if (String(said) !== `message ${n}`) return `a WebSocket said ${said}`
    }
    return 'right'
  } finally {
    socket.terminate()
  }
}

/** Fails when a WebSocket closes. */
async function closing(socket: WebSocket): Promise<never> {
  const [code] = (await once(socket, 'close')) as [number]
  throw new Error(`closed with ${code}`)
}
