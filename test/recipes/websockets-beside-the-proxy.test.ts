import { createServer, type Server } from 'node:http'
import { expect } from 'chai'
import { io } from 'socket.io-client'
import { WebSocket, WebSocketServer } from 'ws'
import { closeServers, listen } from '../support/servers/servers.js'

describe('recipe: WebSockets of your own beside the proxy', () => {
  let servers: { server: Server; gateway: Server }
  let ports: Record<'server' | 'gateway', number>
  let chat: WebSocketServer

  before(async () => {
    const upstream = await listen(createServer())
    chat = new WebSocketServer({ server: upstream.server })
    chat.on('connection', (socket, req) => socket.send(`chat ${req.url}`))
    process.env['UPSTREAM'] = upstream.url
    servers = await import('../../.recipes/websockets-beside-the-proxy.js')
    delete process.env['UPSTREAM']
    ports = {
      server: (await listen(servers.server)).port,
      gateway: (await listen(servers.gateway)).port,
    }
  })
  after(async () => {
    chat.close()
    await closeServers()
  })

  for (const [name, chatPath] of [
    ['server', '/'],
    ['gateway', '/chat'],
  ] as const) {
    it(`gives each its own on ${name}`, async () => {
      expect(await greetingOf(`ws://127.0.0.1:${ports[name]}/prices`)).to.equal('42')
      expect(await greetingOf(`ws://127.0.0.1:${ports[name]}/chat`)).to.equal(`chat ${chatPath}`)
    })
  }

  it('has socket.io answer, by a WebSocket alone', async () => {
    const client = io(`http://127.0.0.1:${ports.server}`, { transports: ['websocket'], reconnection: false })
    expect(await client.timeout(5000).emitWithAck('ask')).to.equal('socket.io')
    client.close()
  })
})

async function greetingOf(url: string): Promise<string> {
  const client = new WebSocket(url)
  const greeting = await new Promise<string>((resolve, reject) => {
    client.on('message', (data: Buffer) => resolve(data.toString())).on('error', reject)
  })
  client.terminate()
  return greeting
}
