import { createServer } from 'node:http'
import { expect } from 'chai'
import { attach, passthroughProxy } from 'sluiceway'
import { Server as SocketServer } from 'socket.io'
import { io } from 'socket.io-client'
import { WebSocket, WebSocketServer } from 'ws'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'

for (const { name, express } of expressVersions) {
  describe(`attach beside socket.io and ws (${name})`, () => {
    const closing: (() => void)[] = []

    afterEach(async () => {
      for (const close of closing.splice(0)) close()
      await closeServers()
    })

    /** A server whose app proxies '/up', with socket.io, and with ws at '/local'. */
    async function start(order: 'first' | 'last'): Promise<number> {
      const upstream = await serve((_req, res) => res.end())
      greet(new WebSocketServer({ server: upstream.server }), 'upstream')
      const app = express().use('/up', passthroughProxy(upstream.url))
      const server = createServer(app)
      if (order === 'first') attach(server, app)
      const rooms = new SocketServer(server)
      rooms.on('connection', (socket) =>
        socket.on('ask', (answer: (text: string) => void) => answer('socket.io')),
      )
      closing.push(
        () => rooms.disconnectSockets(true),
        () => void rooms.close(),
      )
      const local = new WebSocketServer({ noServer: true })
      greet(local, 'local')
      server.on('upgrade', (req, socket, head) => {
        if (req.url === '/local')
          local.handleUpgrade(req, socket, head, (one) => local.emit('connection', one))
      })
      if (order === 'last') attach(server, app)
      return (await listen(server)).port
    }

    function greet(webSockets: WebSocketServer, text: string): void {
      webSockets.on('connection', (socket) => socket.send(text))
      closing.push(() => webSockets.close())
    }

    async function greetingOf(url: string): Promise<string> {
      const client = new WebSocket(url)
      const greeting = await new Promise<string>((resolve, reject) => {
        client.on('message', (data: Buffer) => resolve(data.toString())).on('error', reject)
      })
      client.terminate()
      return greeting
    }

    async function askRooms(port: number, transports: string[]): Promise<string> {
      const client = io(`http://127.0.0.1:${port}`, { transports, reconnection: false, forceNew: true })
      closing.push(() => client.close())
      if (transports.length > 1) await new Promise((resolve) => client.io.engine.once('upgrade', resolve))
      return (await client.timeout(5000).emitWithAck('ask')) as string
    }

    for (const order of ['first', 'last'] as const) {
      it(`gives each its own, attached ${order}`, async () => {
        const port = await start(order)
        expect(await greetingOf(`ws://127.0.0.1:${port}/up`)).to.equal('upstream')
        expect(await greetingOf(`ws://127.0.0.1:${port}/local`)).to.equal('local')
        expect(await askRooms(port, ['websocket'])).to.equal('socket.io')
        expect(await askRooms(port, ['polling', 'websocket'])).to.equal('socket.io')
        expect(await greetingOf(`ws://127.0.0.1:${port}/up/again`)).to.equal('upstream')
      })
    }
  })
}
