import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

/** Which connection of a server a request came on, and how many came on it before. */
export interface Place {
  readonly connection: number
  readonly requestOnConnection: number
}

interface Known {
  readonly connection: number
  requests: number
  /** The bytes that it had brought when its last request was over: the next one begins there. */
  endOfLast: number
}

/** Numbers the connections of a server, and the requests on each, from 1. */
export class Connections {
  /** How many there have been. */
  count = 0
  private readonly known = new WeakMap<Socket, Known>()

  constructor(server: Server) {
    server.on('connection', (socket) => {
      this.count += 1
      this.known.set(socket, { connection: this.count, requests: 0, endOfLast: 0 })
    })
    server.on('request', ({ socket }, res) => {
      const known = this.known.get(socket)
      if (known === undefined) return
      res.once('close', () => {
        known.endOfLast = socket.bytesRead
      })
    })
  }

  /** Counts a request. Call it once for each. */
  place(req: IncomingMessage): Place {
    const known = this.known.get(req.socket) ?? { connection: 0, requests: 0 }
    known.requests += 1
    return { connection: known.connection, requestOnConnection: known.requests }
  }

  /** Call it when the head is there. The answer tells how much of the body has arrived, the sizes of chunks included. */
  countBody(req: IncomingMessage): () => number {
    const { socket } = req
    const begin = (this.known.get(socket)?.endOfLast ?? 0) + headLength(req)
    return () => Math.max(0, socket.bytesRead - begin)
  }
}

/** The length of a head as all the usual clients write it: without folded lines or needless spaces. */
function headLength({ method, url, rawHeaders }: IncomingMessage): number {
  const requestLine = `${method} ${url} HTTP/1.1\r\n`
  const lines = rawHeaders.reduce((sum, text) => sum + Buffer.byteLength(text, 'latin1') + 2, 0)
  return requestLine.length + lines + 2
}
