import { asChunk, RawClient } from '../../test/support/clients/raw-client.js'
// Clients that leave at any phase: a program of its own, as a server accepts one connection each turn of its event loop,
// and its turns must not be spent on clients. Called with the ports of HTTP/1.1 and of HTTP/2, how many are to leave, and how
// many at once.
import { closed } from '../../test/support/process/open-resources.js'
import { http2Phases, leaveOverHttp2 } from './http2.js'
import { pause } from './servers.js'

const body = Buffer.alloc(100_000, 'a body that is larger than what is kept in memory; ')

const CHUNKED = 'Host: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const UPGRADE =
  'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

/** The start of a masked frame of 100 bytes, sent before the answer. */
const startOfFrame = Buffer.from([0x82, 0xe4, 0, 0, 0, 0, 1])

/** How far a client goes. What it does after a while it does only while it is there. */
type Phase = (client: RawClient) => unknown

const phases: Readonly<Record<string, Phase>> = {
  'in its own head': (client) => client.write('POST /read HTTP/1.1\r\nHost'),
  'in an upload': (client) => client.write(`POST /read HTTP/1.1\r\n${CHUNKED}`, asChunk(body)),
  'in a proxied upload': (client) =>
    client.write('POST /proxied HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n', body),
  'in an upload that is too long': (client) =>
    client.write('POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n', body),
  'invited to send': (client) =>
    client.request('POST', '/read', { Expect: '100-continue', 'Content-Length': '9' }),
  'waiting for a proxied answer': (client) => client.request('POST', '/proxied', {}, body),
  'waiting for one that does not come': (client) => client.request('GET', '/proxied/deaf'),
  'with many requests under way': (client) => {
    for (let part = 0; part < 10; part++) client.request('POST', part % 2 ? '/read' : '/proxied', {}, body)
  },
  'in an upload over TLS': (client) =>
    client.write('POST /secure HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n', body),
  'waiting for an answer over TLS': (client) => client.request('POST', '/secure/deaf', {}, body),
  'as a slow reader over TLS': (client) => readSlowly(client, '/secure/endless'),
  'in an upload that fails over': (client) =>
    client.write('POST /failover HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n', body),
  'in an upload that is changed': (client) =>
    client.write('POST /changed HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n', body),
  'as a slow reader of a changed answer': (client) => readSlowly(client, '/changed/endless'),
  'as an endless sender': (client) => sendEndlessly(client, '/read'),
  'as an endless sender through the proxy': (client) => sendEndlessly(client, '/proxied/deaf'),
  'as a slow writer': (client) => sendSlowly(client, '/read'),
  'as a slow writer through the proxy': (client) => sendSlowly(client, '/proxied'),
  'as a slow reader': (client) => readSlowly(client, '/endless'),
  'as a slow reader through the proxy': (client) => readSlowly(client, '/proxied/endless'),
  'as a slow reader of events': (client) => readSlowly(client, '/events'),
  'while it reads events': (client) => client.request('GET', '/events', { 'Accept-Encoding': 'gzip' }),
  // One in all, as to start a process stops everything else for some milliseconds.
  'with a child': (client) => readSlowly(client, `/child/${oneOf(['nothing', 'much', 'deaf'])}`),
  'in the handshake of a WebSocket': (client) => client.write(`GET /proxied/socket HTTP/1.1\r\n${UPGRADE}`),
  'in the handshake of a WebSocket that nobody takes': (client) =>
    client.write(`GET /read HTTP/1.1\r\n${UPGRADE}`),
  'in a message of a WebSocket': (client) =>
    client.write(`GET /proxied/socket HTTP/1.1\r\n${UPGRADE}`, startOfFrame),
  'in a message of a WebSocket over TLS': (client) =>
    client.write(`GET /secure/socket HTTP/1.1\r\n${UPGRADE}`, startOfFrame),
}
const names = [...Object.keys(phases), ...Object.keys(http2Phases)]

/** How many clients have left in each phase. */
const departures: Record<string, number> = {}

/** Connects, goes to one of the phases, stays for up to 200 ms, and leaves. */
async function leave(): Promise<void> {
  const name = oneOf(names)
  if (name in http2Phases) await leaveOverHttp2(http2Port, name)
  else await leaveIn(name)
  departures[name] = (departures[name] ?? 0) + 1
}

async function leaveIn(phase: string): Promise<void> {
  const client = await RawClient.connect(port)
  phases[phase]?.(client)
  await pause(Math.random() * 200)
  if (Math.random() < 0.5) client.socket.resetAndDestroy()
  else client.socket.destroy()
  await closed(client.socket)
}

function oneOf(list: readonly string[]): string {
  return list[Math.floor(Math.random() * list.length)] as string
}

function sendEndlessly(client: RawClient, path: string): void {
  client.write(`POST ${path} HTTP/1.1\r\n${CHUNKED}`)
  const more = (): void => {
    if (client.socket.destroyed) return
    if (client.write(asChunk(body))) setTimeout(more, 2)
    else client.socket.once('drain', more)
  }
  more()
}

function sendSlowly(client: RawClient, path: string): void {
  client.write(`POST ${path} HTTP/1.1\r\n${CHUNKED}`)
  const timer = setInterval(() => client.write(asChunk('x')), 10)
  client.socket.on('close', () => clearInterval(timer))
}

function readSlowly(client: RawClient, path: string): void {
  client.socket.pause()
  client.request('GET', path)
}

const [port = 0, http2Port = 0, toLeave = 0, atOnce = 0] = process.argv.slice(2).map(Number)
let left = 0
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    while (left++ < toLeave) await leave()
  }),
)
process.send?.(departures)
process.disconnect()
