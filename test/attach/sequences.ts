import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { kinds } from '../support/clients/pipelined.js'
import type { RawClient } from '../support/clients/raw-client.js'

/** Answers with the path, the body, and the kind of connection that the app was given. */
async function echo(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = req.method === 'POST' ? await text(req) : ''
  if (req.url?.startsWith('/slow') === true) await new Promise((resolve) => setTimeout(resolve, 3))
  res.end(`${req.url} ${body}`)
}

export function app(req: IncomingMessage, res: ServerResponse): void {
  echo(req, res).then(undefined, () => req.socket.destroy())
}

export function bytesOf(sequence: readonly string[]): string[] {
  return sequence.map((kind, place) => kinds[kind]!(`/${kind}?${place}`))
}

/** All bytes that a client gets until the server closes the connection or has answered this number of messages. */
export async function answersTo(
  client: RawClient,
  count: number,
): Promise<{ answers: string[]; isClosed: boolean }> {
  const answers: string[] = []
  while (answers.length < count) {
    try {
      const { status, body } = await client.response()
      if (status !== 100) answers.push(status === 200 ? String(body) : String(status))
    } catch {
      return { answers, isClosed: true }
    }
  }
  return { answers, isClosed: false }
}
