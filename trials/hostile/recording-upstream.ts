import net from 'node:net'
import { listen, type TestServer } from '../../test/support/servers/servers.js'

/** A server that reads strictly, and notes every message and whatever is none. */
export interface RecordingUpstream extends TestServer<net.Server> {
  readonly seen: string[]
  readonly faults: string[]
}

/** Starts one. It answers each message with its start line, and cuts the connection where it finds none. */
export async function recordingUpstream(): Promise<RecordingUpstream> {
  const seen: string[] = []
  const faults: string[] = []
  const server = net.createServer((socket) => {
    let buffered = ''
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      buffered += chunk.toString('latin1')
      for (let found = takeMessage(buffered); found !== undefined; found = takeMessage(buffered)) {
        if ('fault' in found) {
          faults.push(found.fault)
          socket.destroy()
          return
        }
        buffered = buffered.slice(found.length)
        seen.push(found.start)
        answer(socket, found.start)
      }
    })
  })
  return Object.assign(await listen(server), { seen, faults })
}

function answer(socket: net.Socket, start: string): void {
  const body = start.startsWith('HEAD ') ? '' : start
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${start.length}\r\n\r\n${body}`, 'latin1')
}

type Found = { readonly start: string; readonly length: number } | { readonly fault: string }

/** Reads one message from the start of `text`; undefined where it has not all arrived. */
export function takeMessage(text: string): Found | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const [start = '', ...lines] = text.slice(0, headEnd).split('\r\n')
  if (!/^[!#$%&'*+.^_`|~\w-]+ [\x21-\x7e\x80-\xff]+ HTTP\/1\.1$/.test(start))
    return { fault: `start line ${start}` }
  const wrong = lines.find((line) => !/^[!#$%&'*+.^_`|~\w-]+: ?[\t\x20-\x7e\x80-\xff]*$/.test(line))
  if (wrong !== undefined) return { fault: `header line ${JSON.stringify(wrong)}` }
  return bodyOf(text, headEnd + 4, start, lines)
}

function bodyOf(text: string, at: number, start: string, lines: readonly string[]): Found | undefined {
  const lengths = valuesOf(lines, 'content-length')
  const codings = valuesOf(lines, 'transfer-encoding')
  if (lengths.length + codings.length > 1)
    return { fault: `framed twice: ${[...lengths, ...codings].join(' and ')}` }
  if (codings.length === 1)
    return codings[0] === 'chunked' ? chunksOf(text, at, start) : { fault: codings[0]! }
  const length = lengths[0] ?? '0'
  if (!/^\d{1,15}$/.test(length)) return { fault: `length ${length}` }
  const end = at + Number(length)
  return end > text.length ? undefined : { start, length: end }
}

function valuesOf(lines: readonly string[], name: string): string[] {
  const prefix = `${name}:`
  return lines
    .filter((line) => line.toLowerCase().startsWith(prefix))
    .map((line) => line.slice(prefix.length).trim())
}

function chunksOf(text: string, from: number, start: string): Found | undefined {
  for (let at = from; ;) {
    const line = /^([\da-f]+)\r\n/i.exec(text.slice(at, at + 20))
    if (line === null) return text.length - at < 20 ? undefined : { fault: 'chunk size' }
    const size = Number.parseInt(line[1]!, 16)
    at += line[0].length
    if (size === 0) return trailersOf(text, at, start)
    if (text.length < at + size + 2) return undefined
    at += size + 2
  }
}

function trailersOf(text: string, at: number, start: string): Found | undefined {
  if (text.startsWith('\r\n', at)) return { start, length: at + 2 }
  const end = text.indexOf('\r\n\r\n', at)
  return end === -1 ? undefined : { start, length: end + 4 }
}
