import net from 'node:net'
import { listen, type TestServer } from '../support/servers/servers.js'

/** Where a careless server stands between two readings of one message. */
export interface Leniency {
  /** Which of Transfer-Encoding and Content-Length counts where both are there. */
  readonly prefers: 'transfer-encoding' | 'content-length'
  /** Which of several lengths counts. */
  readonly length: 'first' | 'last'
}

export interface LenientUpstream extends TestServer<net.Server> {
  /** The start lines of all requests it has found. */
  readonly seen: string[]
}

/**
 * A server that takes whatever it can for a request: LF for an end of line, spaces before colons, any coding that
 * contains 'chunked', any digits for a length. Answers each with its start line. `closeServers` ends it.
 */
export async function lenientUpstream(leniency: Leniency): Promise<LenientUpstream> {
  const seen: string[] = []
  const server = net.createServer((socket) => {
    let buffered = ''
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      buffered += chunk.toString('latin1')
      for (;;) {
        const found = takeRequest(buffered, leniency)
        if (found === undefined) return
        buffered = found.rest
        seen.push(found.start)
        const length = `Content-Length: ${found.start.length}`
        socket.write(`HTTP/1.1 200 OK\r\n${length}\r\n\r\n${found.start}`, 'latin1')
      }
    })
  })
  return Object.assign(await listen(server), { seen })
}

function takeRequest(text: string, leniency: Leniency): { start: string; rest: string } | undefined {
  const head = /^(?:\r?\n)*([^]*?)\r?\n\r?\n/.exec(text)
  if (head === null) return undefined
  const [start = '', ...lines] = (head[1] ?? '').split(/\r?\n/)
  const rest = bodyless(text.slice(head[0].length), lines, leniency)
  return rest === undefined ? undefined : { start, rest }
}

/** What stands behind the body; undefined where it has not all arrived. */
function bodyless(text: string, lines: readonly string[], { prefers, length }: Leniency): string | undefined {
  const isChunked = valuesOf(lines, 'transfer-encoding').some((value) => /chunked/i.test(value))
  const lengths = valuesOf(lines, 'content-length').flatMap((value) => /\d+/.exec(value)?.[0] ?? [])
  const size = Number(lengths.at(length === 'first' ? 0 : -1) ?? 0)
  if (isChunked && (prefers === 'transfer-encoding' || lengths.length === 0)) return chunkless(text)
  return text.length < size ? undefined : text.slice(size)
}

function valuesOf(lines: readonly string[], name: string): string[] {
  const pattern = new RegExp(`^\\s*${name}\\s*:(.*)$`, 'i')
  return lines.flatMap((line) => pattern.exec(line)?.[1] ?? [])
}

function chunkless(text: string): string | undefined {
  let rest = text
  for (;;) {
    const line = /^\s*([\da-f]*)[^\n]*\n/i.exec(rest)
    if (line === null) return undefined
    const size = Number.parseInt(line[1] ?? '', 16) || 0
    rest = rest.slice(line[0].length)
    if (size === 0) return trailerless(rest)
    if (rest.length < size) return undefined
    rest = rest.slice(size).replace(/^\r?\n/, '')
  }
}

function trailerless(text: string): string | undefined {
  const end = /^(?:[^\r\n]+\r?\n)*\r?\n/.exec(text)
  return end === null ? undefined : text.slice(end[0].length)
}
