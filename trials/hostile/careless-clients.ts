import net from 'node:net'
import { asChunk, lastChunk } from '../../test/support/clients/raw-client.js'
import { closed } from '../../test/support/process/open-resources.js'

export type ClientStep =
  | { readonly does: 'send'; readonly bytes: number }
  | { readonly does: 'wait'; readonly ms: number }
  | { readonly does: 'finish the body' }
  | { readonly does: 'send another request' }
  | { readonly does: 'half-close' }
  | { readonly does: 'reset' }
  | { readonly does: 'leave' }

export interface Client {
  readonly framing: 'Content-Length' | 'chunked'
  readonly size: number
  /** Sends its request behind another one, whose answer goes on for as long as the client is there. */
  readonly isBehind: boolean
  readonly steps: readonly ClientStep[]
}

/** The longest that a client waits for its answer when it has done all its steps. */
const PATIENCE_MS = 60

/**
 * Does what a client does once the server has `accepted` its connection, and resolves when it has gone. Before that a
 * busy server would not have seen the client at all, and would look tidy.
 */
export async function visit(port: number, client: Client, accepted: Promise<unknown>): Promise<void> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  socket.on('error', () => {}).resume()
  await accepted
  socket.write(headOf(client))
  const progress = { sent: 0 }
  for (const step of client.steps) {
    if (socket.destroyed) break
    await doStep(socket, client, step, progress)
  }
  await Promise.race([serverEnded(socket), pause(PATIENCE_MS)])
  socket.destroy()
  await closed(socket)
}

function headOf({ framing, size, isBehind }: Client): string {
  const before = isBehind ? 'GET /held HTTP/1.1\r\nHost: a\r\n\r\n' : ''
  const line = framing === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`
  return `${before}POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n${line}\r\n\r\n`
}

async function doStep(
  socket: net.Socket,
  client: Client,
  step: ClientStep,
  progress: { sent: number },
): Promise<void> {
  if (step.does === 'send') send(socket, client, step.bytes, progress)
  else if (step.does === 'wait') await pause(step.ms)
  else if (step.does === 'finish the body') finishBody(socket, client, progress)
  else if (step.does === 'send another request') socket.write('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
  else if (step.does === 'half-close') socket.end()
  else if (step.does === 'reset') socket.resetAndDestroy()
  else socket.destroy()
}

function send(
  socket: net.Socket,
  { framing, size }: Client,
  bytes: number,
  progress: { sent: number },
): void {
  const length = Math.min(bytes, size - progress.sent)
  if (length <= 0 || socket.writableEnded) return
  progress.sent += length
  const part = Buffer.alloc(length, 'careless ')
  socket.write(framing === 'chunked' ? asChunk(part) : part)
}

function finishBody(socket: net.Socket, client: Client, progress: { sent: number }): void {
  send(socket, client, client.size, progress)
  if (client.framing === 'chunked' && !socket.writableEnded) socket.write(lastChunk)
}

function serverEnded(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close']) socket.once(event, () => resolve())
  })
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds))
}
