import net, { type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { closed } from '../../test/support/process/open-resources.js'
import { listen } from '../../test/support/servers/servers.js'
import { certificate, key } from '../../test/support/servers/tls-certificate.js'
import { takeMessage } from './recording-upstream.js'
import { type HostileResponse, type Must, response } from './response-entry.js'
import { play } from './response-play.js'

/** Behind this answer its connection is closed. */
export const LAST = '/innocent/last'

/**
 * An upstream that answers `/hostile/…` as the entry under way says, and any other path with that path. It goes on to
 * answer on a connection, whatever it has sent there: whether that is used again is for its client to know.
 */
export class HostileUpstream {
  private readonly isSecure: boolean
  /** Requests that cannot be read, or that come while something else is due. */
  readonly faults: string[] = []
  private readonly connections = new Set<Socket>()
  /** The connection of the last hostile answer. */
  private last: Reader | undefined
  private entry: HostileResponse | undefined
  /** Speaks first on the next connection. */
  private greets = false
  url = ''

  constructor({ isSecure = false } = {}) {
    this.isSecure = isSecure
  }

  async start(): Promise<this> {
    const { url } = await listen(net.createServer({ allowHalfOpen: true }, (tcp) => this.accept(tcp)))
    this.url = this.isSecure ? url.replace('http:', 'https:') : url
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
    await play(last.socket, entry.steps, last.tcp)
    await closed(last.tcp)
  }

  /** Waits until its clients have closed all connections. */
  async idle(): Promise<void> {
    await Promise.all([...this.connections].map(closed))
  }

  private accept(tcp: Socket): void {
    const { entry, greets, isSecure } = this
    this.greets = false
    this.connections.add(tcp.setNoDelay(true))
    tcp.on('error', () => {}).on('close', () => this.connections.delete(tcp))
    if (!greets || !isSecure) this.serve(tcp).isAnswered = greets
    else endWith(tcp.resume())
    if (greets && entry !== undefined) void play(tcp, entry.steps)
  }

  /** Reads requests from a connection, or from what is within its TLS. */
  private serve(tcp: Socket): Reader {
    const socket = this.isSecure ? secured(tcp) : tcp
    const reader = { socket, tcp, text: '', isAnswered: false, isTunnel: false, isSpoiled: false }
    endWith(socket)
    socket.on('data', (chunk: Buffer) => {
      if (reader.isTunnel) socket.write(chunk)
      else this.read(reader, chunk.toString('latin1'))
    })
    return reader
  }

  private read(reader: Reader, text: string): void {
    reader.text += text
    if (!reader.isAnswered && this.entry?.moment === 'head' && isHostileHead(reader.text)) {
      reader.isAnswered = true
      this.answerHostile(reader, '')
    }
    for (let found = takeMessage(reader.text); found !== undefined; found = takeMessage(reader.text)) {
      if ('fault' in found) {
        this.faults.push(found.fault)
        return void reader.socket.destroy()
      }
      reader.text = reader.text.slice(found.length)
      this.answer(reader, found.start)
    }
  }

  private answer(reader: Reader, start: string): void {
    const { socket } = reader
    const [method = '', path = ''] = start.split(' ')
    const isAnswered = reader.isAnswered && path.startsWith('/hostile/')
    reader.isAnswered = false
    if (isAnswered) return
    if (reader.isSpoiled) this.faults.push(SPOILED)
    if (path.startsWith('/hostile/')) return this.answerHostile(reader, method)
    socket.write(innocentAnswer(method, path), 'latin1')
    if (path === LAST) socket.end()
  }

  private answerHostile(reader: Reader, method: string): void {
    const { entry } = this
    const { socket, tcp } = reader
    if (entry === undefined) return
    this.last = reader
    reader.isSpoiled = entry.spoils === true || isBad(method === 'HEAD' ? entry.mustHead : entry.must)
    reader.isTunnel = entry.upgrade !== undefined && entry.must === 'tunnels'
    if (entry.moment === 'idle') socket.write(response(method === 'HEAD' ? { body: '' } : {}), 'latin1')
    else void play(socket, entry.steps, tcp)
  }
}

/** A fault of whoever sends it. */
export const SPOILED = 'a request on a connection that has carried too much'

/** One connection. */
interface Reader {
  readonly socket: Socket
  readonly tcp: Socket
  text: string
  /** The request that is being read has its answer already. */
  isAnswered: boolean
  isTunnel: boolean
  /** It has carried what ends a connection. */
  isSpoiled: boolean
}

function isBad(must: Must): boolean {
  return must === 'fails' || must === 'breaks'
}

/** TLS on a connection that can still be written to beneath it. */
function secured(tcp: Socket): Socket {
  const stream = Duplex.from({ readable: tcp, writable: tcp })
  stream.on('error', () => {})
  const socket = new TLSSocket(stream, { isServer: true, key, cert: certificate })
  tcp.on('close', () => socket.destroy())
  return socket.on('error', () => {})
}

/** Ends a connection when its client has. */
function endWith(socket: Socket): void {
  socket.on('end', () => socket.end())
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
