import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { expect } from 'chai'
import { WebSocket, WebSocketServer } from 'ws'
import { closeServers, listen } from '../support/servers/servers.js'

const PAGE = 'http://localhost:3000'
const ADA = 'other=1; session=session-of-ada'

describe('recipe: a WebSocket behind authentication', () => {
  let url: string
  let chat: WebSocketServer
  let asked: IncomingMessage[]

  before(async () => {
    const upstream = await listen(createServer())
    chat = new WebSocketServer({ server: upstream.server })
    chat.on('connection', (socket, req) => {
      asked.push(req)
      socket.on('message', (data: Buffer) =>
        socket.send(`${String(req.headers['x-user'])}: ${data.toString()}`),
      )
    })
    process.env['UPSTREAM'] = upstream.url
    const { server } = (await import('../../.recipes/websocket-behind-auth.js')) as { server: Server }
    delete process.env['UPSTREAM']
    url = `ws://127.0.0.1:${(await listen(server)).port}/chat`
  })
  beforeEach(() => {
    asked = []
  })
  after(async () => {
    chat.close()
    await closeServers()
  })

  it('lets a user in, under the name of the session', async () => {
    const socket = new WebSocket(url, { origin: PAGE, headers: { Cookie: ADA, 'X-User': 'root' } })
    await once(socket, 'open')
    socket.send('hello')
    expect(String((await once(socket, 'message'))[0])).to.equal('ada: hello')
    expect(asked[0]?.headers).not.to.have.property('cookie')
    socket.close()
    await once(socket, 'close')
  })

  for (const [who, status, origin, headers] of [
    ['a stranger', 401, PAGE, {}],
    ['an old session', 401, PAGE, { Cookie: 'session=old' }],
    ["another site's page with the user's cookie", 403, 'http://evil.test', { Cookie: ADA }],
  ] as const) {
    it(`answers ${who} with ${status}, and the chat server gets no request`, async () => {
      const socket = new WebSocket(url, { origin, headers })
      socket.on('error', () => {})
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
      expect(response.statusCode).to.equal(status)
      expect(asked).to.deep.equal([])
      response.destroy()
    })
  }
})
