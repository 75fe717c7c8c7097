// The upstream of WebSockets: sends each message back.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'
import { listen, report } from '../measure/usage.mjs'

const server = createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false })
sockets.on('connection', (socket) => {
  socket.on('message', (message) => socket.send(message, { binary: false }))
  socket.on('error', () => {})
})
report(await listen(server))
