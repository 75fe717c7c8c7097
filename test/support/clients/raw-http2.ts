import net from 'node:net'

export const DATA = 0
const HEADERS = 1
export const RST_STREAM = 3
const SETTINGS = 4
const END_HEADERS = 4

/** A frame of the first stream, or of the connection (RFC 9113 section 4.1). Node's own client ends a stream before it resets it. */
export function frame(type: number, flags: number, payload: string, stream = 1): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, Buffer.from(payload, 'latin1')])
}

/** Opens a connection with one POST on it, whose body has not been sent yet. */
export function rawStream(port: number): net.Socket {
  const lines = { ':method': 'POST', ':path': '/a?b', ':scheme': 'http', ':authority': 'test' }
  const literal = (text: string): string => String.fromCharCode(text.length) + text
  // RFC 7541 section 6.2.2: no name is looked up, none kept.
  const block = Object.entries(lines).map(([name, value]) => `\0${literal(name)}${literal(value)}`)
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  socket.write(frame(SETTINGS, 0, '', 0))
  socket.write(frame(HEADERS, END_HEADERS, block.join('')))
  return socket
}
