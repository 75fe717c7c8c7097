import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  connect,
  createServer as createSocketServer,
  type NetConnectOpts,
  type Server,
  type Socket,
} from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { listen } from '../../test/support/servers/servers.js'
import { ask } from './asking.js'
import { echo } from './echo.js'
import { temporaryFolder } from './program.js'
import { type Proxy, proxyTo, takeCodes } from './proxy.js'
import type { Trial } from './trial.js'
import { drippedBy } from './uploads.js'

/**
 * A daemon that speaks as Docker's does, on a socket file: an exec is a POST with a body whose connection becomes a
 * stream (https://docs.docker.com/reference/api/engine/, "Attach to a container").
 */
export async function docker(trial: Trial): Promise<void> {
  trial.server = 'a daemon of our own, as Docker 1.41'
  const socketPath = path.join(temporaryFolder(), 'docker.sock')
  await listen(daemon(), { path: socketPath })
  const proxy = await proxyTo('http://docker', { connect: { socketPath }, upgrade: ['tcp'] })
  for (const [name, script] of Object.entries(scripts)) {
    const [one, other] = [
      await converse({ path: socketPath }, script),
      await converse({ port: proxy.port }, script),
    ]
    trial.holds(`${name}: oracle`, one.includes('exit 0'), () => one)
    if (script.body === '') trial.same(name, one, other)
    // docs/recipes/docker-socket.md tells that this does not work.
    else trial.holds(`${name}: served as a plain request`, other.startsWith('200 '), () => other)
  }
  await uploads(trial, proxy)
  const codes = takeCodes(proxy)
  trial.holds('no errors', codes.length === 0, () => codes.join(', '))
}

function route(req: IncomingMessage, res: ServerResponse): void {
  // Each request comes on a connection of its own, so that its first packet is the first of that.
  res.shouldKeepAlive = false
  if (req.url === '/events') {
    for (let i = 0; i < 100; i += 1) res.write(`${JSON.stringify({ i })}\n`)
    res.end()
  } else void echo(req, res)
}

/** On a plain socket: versions of Node differ in what they make of an upgrade with a body. */
function daemon(): Server {
  const http = createServer(route)
  return createSocketServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', (first: Buffer) => {
      if (/^upgrade: tcp\r$/im.test(first.toString('latin1'))) return exec(socket, first)
      socket.unshift(first)
      return http.emit('connection', socket)
    })
  })
}

/** Answers when it has the whole request, with the first output in the same packet; echoes what comes, and ends behind it. */
function exec(socket: Socket, first: Buffer): void {
  const end = first.indexOf('\r\n\r\n') + 4
  const announced = Number(/^content-length: (\d+)/im.exec(first.toString('latin1', 0, end))?.[1] ?? 0)
  let body: Buffer | undefined = first.subarray(end)
  const take = (chunk: Buffer): void => {
    if (body === undefined) return void socket.write(chunk)
    body = Buffer.concat([body, chunk])
    if (body.length < announced) return
    socket.write(`${switching}started ${body.subarray(0, announced).toString()}\n`)
    socket.write(body.subarray(announced))
    body = undefined
  }
  take(Buffer.alloc(0))
  socket.on('data', take).on('end', () => socket.end('exit 0\n'))
}

const switching =
  'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'

interface Script {
  readonly body: string
  readonly input: string
}

const scripts: Readonly<Record<string, Script>> = {
  'exec with a body': { body: '{"Detach":false,"Tty":true}', input: 'ls\npwd\n' },
  'exec with 5 MB of input': { body: '{"Detach":false}', input: 'line\n'.repeat(1_000_000) },
  'attach, without a body': { body: '', input: 'ls\n' },
}

/** What the command line does: it writes when the protocol has changed, and ends its half behind the input. */
async function converse(at: NetConnectOpts, { body, input }: Script): Promise<string> {
  const socket = connect({ ...at, allowHalfOpen: true })
  const length = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
  socket.write(
    `POST /v1.41/exec/1/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${length}\r\n${body}`,
  )
  socket.once('readable', () => socket.end(input))
  socket.setTimeout(5000, () => socket.destroy())
  const seen = await text(socket).catch(String)
  return `${seen.split(' ')[1]} ${seen.slice(seen.indexOf('\r\n\r\n') + 4)}`
}

/** An image goes up in chunks, events come down line by line. */
async function uploads(trial: Trial, proxy: Proxy): Promise<void> {
  const load = await ask(proxy.url, { method: 'POST', path: '/images/load', body: drippedBy(50, 1_000_000) })
  trial.holds('50 MB in chunks to a socket file', 'status' in load && load.status === 200, () =>
    JSON.stringify(load),
  )
  const events = await ask(proxy.url, { path: '/events' })
  trial.holds('events', 'length' in events && events.length === 890, () => JSON.stringify(events))
}
