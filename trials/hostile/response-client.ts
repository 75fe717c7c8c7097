import { gunzipSync } from 'node:zlib'
import type { RawClient, RawResponse } from '../../test/support/clients/raw-client.js'
import { BODY, type HostileResponse } from './response-entry.js'

/** What came back to a client. */
export interface Seen {
  /** `cut`: the connection has ended before the end of the answer. `hung`: nothing has ended it. */
  readonly kind: 'answer' | 'tunnel' | 'cut' | 'hung'
  readonly response?: RawResponse
  readonly body?: string
  /** The heads of interim responses. */
  readonly interim: readonly string[]
  /** What came behind the answer, and belongs to nothing. */
  readonly rest: string
}

/** Nothing takes that long but what never ends. */
const WATCHDOG_MS = 20_000

const GZIP = 'Accept-Encoding: gzip\r\n'

/** A request for the hostile answer. */
export function hostileRequest(
  method: string,
  path: string,
  { upgrade, upload = BODY.length }: HostileResponse,
  compresses: boolean,
): string {
  const asks = upgrade === undefined ? '' : `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  const body = method === 'POST' ? 'b'.repeat(upload) : ''
  const length = method === 'POST' ? `Content-Length: ${body.length}\r\n` : ''
  return `${method} ${path} HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n${compresses ? GZIP : ''}${asks}${length}\r\n${body}`
}

export function innocentRequest(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
}

/** Sends a request, and tells what comes back to it. Within a tunnel, it has a word echoed. */
export async function ask(client: RawClient, text: string): Promise<Seen> {
  let isHung = false
  const watchdog = setTimeout(() => {
    isHung = true
    client.destroy()
  }, WATCHDOG_MS)
  const interim: string[] = []
  try {
    client.socket.write(text, 'latin1')
    return await answerTo(client, text.startsWith('HEAD '), interim)
  } catch {
    return { kind: isHung ? 'hung' : 'cut', interim, rest: '' }
  } finally {
    clearTimeout(watchdog)
  }
}

async function answerTo(client: RawClient, head: boolean, interim: string[]): Promise<Seen> {
  for (;;) {
    const response = await client.response({ head })
    if (response.status === 101) return echoed(client, response, interim)
    if (response.status >= 200) return answerOf(client, response, interim)
    interim.push(response.head)
  }
}

function answerOf(client: RawClient, response: RawResponse, interim: string[]): Seen {
  const isGzip = response.headers['content-encoding']?.[0] === 'gzip' && response.body.length > 0
  const body = (isGzip ? gunzipSync(response.body) : response.body).toString('latin1')
  return { kind: 'answer', response, body, interim, rest: client.pending.toString('latin1') }
}

async function echoed(client: RawClient, response: RawResponse, interim: string[]): Promise<Seen> {
  client.socket.write('a word')
  await client.untilText('a word')
  client.socket.end()
  await client.closed()
  return { kind: 'tunnel', response, interim, rest: client.pending.toString('latin1') }
}

/** Whether another request may go out behind the answer. */
export function staysOpen({ kind, response }: Seen): boolean {
  const options = response?.headers['connection']?.join().toLowerCase() ?? ''
  return kind === 'answer' && !options.includes('close')
}
