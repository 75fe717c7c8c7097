import { once } from 'node:events'
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import net from 'node:net'

/** A client over HTTP/2 that writes frames of its own: Node's `close()` ends a request before it resets it. */
export interface FrameClient {
  readonly session: ClientHttp2Session
  /** Its only request, which stays open. */
  readonly stream: ClientHttp2Stream
  readonly reset: (code: number) => void
}

export async function frameClient(port: number, headers: OutgoingHttpHeaders = {}): Promise<FrameClient> {
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const session = http2.connect('http://127.0.0.1', { createConnection: () => socket })
  session.on('error', () => {})
  const stream = session.request({ ':path': '/', ':method': 'POST', ...headers }, { endStream: false })
  stream.on('error', () => {})
  const reset = (code: number): void =>
    void socket.write(Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, code]))
  return { session, stream, reset }
}
