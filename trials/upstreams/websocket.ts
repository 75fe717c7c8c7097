import { randomBytes, createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { WebSocket, WebSocketServer } from 'ws'
import { listen } from '../../test/support/servers/servers.js'
import { certificate, key } from '../../test/support/servers/tls-certificate.js'
import { versionOfRoot } from './packages.js'
import { proxyTo } from './proxy.js'
import type { Trial } from './trial.js'

const LARGE = 10_000_000

/** `ws` with per-message deflate, over TCP and TLS. */
export async function websocket(trial: Trial): Promise<void> {
  trial.server = versionOfRoot('ws')
  for (const isSecure of [false, true]) {
    const server = isSecure ? createSecureServer({ key, cert: certificate }) : createServer()
    serveSockets(
      new WebSocketServer({ noServer: true, perMessageDeflate: true, maxPayload: 2 * LARGE }),
      server,
    )
    const { port } = await listen(server)
    const target = `${isSecure ? 'https' : 'http'}://localhost:${port}`
    const proxy = await proxyTo(target, { connect: { ca: certificate } })
    const direct = `${isSecure ? 'wss' : 'ws'}://localhost:${port}`
    const far = proxy.url.replace('http', 'ws')
    for (const [name, talk] of Object.entries(talks)) {
      const [one, other] = [await settled(talk, direct), await settled(talk, far)]
      trial.same(`${isSecure ? 'wss: ' : 'ws: '}${name}`, one, other)
    }
  }
}

type Server = ReturnType<typeof createServer>

/** Echoes; some words are asked of the server itself. */
function serveSockets(sockets: WebSocketServer, server: Server): void {
  sockets.on('connection', (socket, req) => {
    if (req.url === '/greeting') socket.send('hello at once')
    socket.on('message', (data: Buffer, isBinary) => {
      if (!isBinary && data.toString() === 'close') socket.close(4001, 'as you say')
      else if (!isBinary && data.toString() === 'cut') socket.terminate()
      else if (!isBinary && data.toString() === 'ping') socket.ping('are you there')
      else socket.send(data, { binary: isBinary })
    })
  })
  server.on('upgrade', (req: IncomingMessage, socket, head) => {
    if (req.url === '/refused')
      return socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nX-Why: not\r\n\r\nwhy?')
    return sockets.handleUpgrade(req, socket, head, (client) => sockets.emit('connection', client, req))
  })
}

type Talk = (url: string) => Promise<unknown>

/** What a client does with one connection, and what it sees. */
const talks: Readonly<Record<string, Talk>> = {
  'a greeting in the first packet': async (url) => {
    const socket = open(`${url}/greeting`)
    const [data] = (await once(socket, 'message')) as [Buffer]
    return [data.toString(), await closing(socket)]
  },
  'text of 10 MB, which deflates': async (url) => await echoOf(url, 'a word '.repeat(LARGE / 7)),
  'bytes of 10 MB, which do not': async (url) => await echoOf(url, pseudoRandom),
  '10 MB without deflate': async (url) => await echoOf(url, pseudoRandom, { perMessageDeflate: false }),
  'empty message': async (url) => await echoOf(url, ''),
  '3000 messages in order': async (url) => {
    const socket = open(url)
    await once(socket, 'open')
    const seen: string[] = []
    const all = new Promise((resolve) => {
      socket.on('message', (data: Buffer) => seen.push(data.toString()) === 3000 && resolve(undefined))
    })
    for (let i = 0; i < 3000; i += 1) socket.send(`message ${i}`)
    await all
    return [seen.every((text, i) => text === `message ${i}`), await closing(socket)]
  },
  'ping of the server': async (url) => {
    const socket = open(url)
    await once(socket, 'open')
    socket.send('ping')
    const [data] = (await once(socket, 'ping')) as [Buffer]
    return [data.toString(), await closing(socket)]
  },
  'ping of the client': async (url) => {
    const socket = open(url)
    await once(socket, 'open')
    socket.ping('x')
    const [data] = (await once(socket, 'pong')) as [Buffer]
    return [data.toString(), await closing(socket)]
  },
  'the server closes': async (url) => await ended(url, 'close'),
  'the server cuts': async (url) => await ended(url, 'cut'),
  'extensions and no protocol': async (url) => {
    const socket = open(url)
    await once(socket, 'open')
    return [socket.extensions, socket.protocol, await closing(socket)]
  },
  'a protocol': async (url) => {
    const socket = new WebSocket(url, ['one', 'two'], { ca: certificate })
    await once(socket, 'open')
    return [socket.protocol, await closing(socket)]
  },
  'an upgrade that is refused': async (url) => {
    const socket = open(`${url}/refused`)
    const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
    const chunks = (await answer.toArray()) as Buffer[]
    return [answer.statusCode, answer.headers['x-why'], Buffer.concat(chunks).toString()]
  },
}

const pseudoRandom = randomBytes(LARGE)

function open(url: string, options: ConstructorParameters<typeof WebSocket>[2] = {}): WebSocket {
  return new WebSocket(url, { ca: certificate, maxPayload: 2 * LARGE, ...options })
}

async function echoOf(url: string, message: string | Buffer, options = {}): Promise<unknown> {
  const socket = open(url, options)
  await once(socket, 'open')
  socket.send(message)
  const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean]
  const isSame = Buffer.from(message).equals(data)
  return [isSame, isBinary, createHash('sha1').update(data).digest('hex'), await closing(socket)]
}

async function ended(url: string, word: string): Promise<unknown> {
  const socket = open(url)
  await once(socket, 'open')
  socket.send(word)
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
  return [code, reason.toString()]
}

async function closing(socket: WebSocket): Promise<unknown> {
  socket.close(4000, 'enough')
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
  return [code, reason.toString()]
}

async function settled(talk: Talk, url: string): Promise<unknown> {
  return await talk(url).catch(String)
}
