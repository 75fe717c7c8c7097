import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { certificate, key } from '../../support/servers/tls-certificate.js'

/** An upstream over TLS in its own process. It answers at once, with the number of the connection. */
const numbers = new Map<Socket, number>()

const server = createServer({ key, cert: certificate }, (req, res) => {
  req.resume().on('end', () => res.end(String(numbers.get(req.socket))))
})
server.on('secureConnection', (socket: Socket) => numbers.set(socket, numbers.size + 1))
server.on('upgrade', (_req, socket: Socket) => {
  socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello')
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
// The test has ended.
process.on('disconnect', () => process.exit())
