import net, { type Socket } from 'node:net'
import { closed } from '../../test/support/open-resources.js'
import { listen } from '../../test/support/servers.js'
import { takeMessage } from './recording-upstream.js'
import { type HostileResponse, response } from './response-entry.js'
import { play } from './response-play.js'

/** Behind this answer its connection is closed. */
export const LAST = '/innocent/last'

/**
 * An upstream that answers `/hostile/…` as the entry under way says, and any other path with that path. It goes on to
 * answer on a connection, whatever it has sent there: whether that is used again is for its client to know.
 */
export class HostileUpstream {
  readonly server: net.Server
  /** Requests that cannot be read, or that come while something else is due. */
  readonly faults: string[] = []
  private readonly connections = new Set<Socket>()
  /** The connection of the last hostile answer. */
  private last: Socket | undefined
  private entry: HostileResponse | undefined
  /** Speaks first on the next connection. */
  private greets = false
  url = ''

  constructor(server: net.Server = net.createServer({ allowHalfOpen: true }), event = 'connection') {
    this.server = server.on(event, (socket: Socket) => this.accept(socket))
  }

  async start(): Promise<this> {
    this.url = (await listen(this.server)).url
    return this
  }

  /** Answers hostile paths in this way from now on. */
  begin(entry: HostileResponse): void {
    this.entry = entry
    this.greets = entry.moment === 'connected'
    this.last = undefined
  }

  /** Speaks out of turn on the connection of the last answer, and waits until its client has closed that. */
  async speakLate(): Promise<void> {
    const { last, entry } = this
    if (last === undefined || entry === undefined) return
    await play(last, entry.steps)
    await closed(last)
  }

  /** Waits until its clients have closed all connections. */
  async idle(): Promise<void> {
    await Promise.all([...this.connections].map(closed))
  }

  private accept(socket: Socket): void {
    const { entry } = this
    const reader = { text: '', isAnswered: false, isTunnel: false }
    this.connections.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {}).on('close', () => this.connections.delete(socket))
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => {
      if (reader.isTunnel) socket.write(chunk)
      else this.read(socket, reader, chunk.toString('latin1'))
    })
    if (entry === undefined || !this.greets) return
    this.greets = false
    reader.isAnswered = true
    void play(socket, entry.steps)
  }

  private read(socket: Socket, reader: Reader, text: string): void {
    reader.text += text
    if (!reader.isAnswered && this.entry?.moment === 'head' && isHostileHead(reader.text)) {
      reader.isAnswered = true
      this.answerHostile(socket, reader, '')
    }
    for (let found = takeMessage(reader.text); found !== undefined; found = takeMessage(reader.text)) {
      if ('fault' in found) {
        this.faults.push(found.fault)
        return void socket.destroy()
      }
      reader.text = reader.text.slice(found.length)
      this.answer(socket, reader, found.start)
    }
  }

  private answer(socket: Socket, reader: Reader, start: string): void {
    const [method = '', path = ''] = start.split(' ')
    const isAnswered = reader.isAnswered && path.startsWith('/hostile/')
    reader.isAnswered = false
    if (isAnswered) return
    if (path.startsWith('/hostile/')) return this.answerHostile(socket, reader, method)
    socket.write(innocentAnswer(method, path), 'latin1')
    if (path === LAST) socket.end()
  }

  private answerHostile(socket: Socket, reader: Reader, method: string): void {
    const { entry } = this
    if (entry === undefined) return
    this.last = socket
    reader.isTunnel = entry.upgrade !== undefined && entry.must === 'tunnels'
    if (entry.moment === 'idle') socket.write(response(method === 'HEAD' ? { body: '' } : {}), 'latin1')
    else void play(socket, entry.steps)
  }
}

interface Reader {
  text: string
  /** The request that is being read has its answer already. */
  isAnswered: boolean
  isTunnel: boolean
}

function isHostileHead(text: string): boolean {
  return /^[A-Z]+ \/hostile\//.test(text) && text.includes('\r\n\r\n')
}

/** The only right answer to an innocent request. */
function innocentAnswer(method: string, path: string): string {
  const lines = [`X-Path: ${path}`, `Content-Length: ${path.length}`]
  if (path === LAST) lines.push('Connection: close')
  return response({ lines, body: method === 'HEAD' ? '' : path })
}
