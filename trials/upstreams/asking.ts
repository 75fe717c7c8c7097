import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** One request. */
export interface Question {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string | number | string[]>>
  readonly body?: string | Buffer | (() => Readable)
  /** Sent behind a body in chunks. */
  readonly trailers?: Readonly<Record<string, string>>
  /** Lines of the answer, in lower case, that the server decides on by when its own parts come. */
  readonly undecided?: readonly string[]
  /** The client reads more slowly than the answer comes. */
  readonly slowly?: boolean
  /** The connections to use; one of its own if not given. */
  readonly agent?: Agent
}

/** What a client can tell of an answer, less what belongs to its connection. */
export interface Answer {
  readonly status: number
  readonly reason: string
  readonly headers: readonly string[]
  readonly length: number
  readonly digest: string
  readonly trailers: readonly string[]
  readonly interim: readonly number[]
  /** The body has ended before its end. */
  readonly isCut: boolean
}

/** The outcome where there is no answer: the connection has ended, or nothing came for a long while. */
export interface NoAnswer {
  readonly failed: 'ended' | 'hung'
}

const HUNG_MS = 20_000

// Date is the hour of the answer, and Express adds X-Powered-By.
const notCompared = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date', 'x-powered-by'])

/** Asks, and gives the whole answer, or that there is none. */
export async function ask(url: string, question: Question = {}): Promise<Answer | NoAnswer> {
  const interim: number[] = []
  const sent = send(url, question)
  sent.on('information', ({ statusCode }) => interim.push(statusCode))
  let isHung = false
  const timer = setTimeout(() => {
    isHung = true
    sent.destroy()
  }, HUNG_MS)
  try {
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    const read = await readAnswer(answer, question)
    return isHung ? { failed: 'hung' } : { ...read, interim }
  } catch {
    return { failed: isHung ? 'hung' : 'ended' }
  } finally {
    clearTimeout(timer)
  }
}

/** Asks, and gives the request, whose answer is still to come. */
export function send(url: string, question: Question = {}): ClientRequest {
  const { method = 'GET', path = '/', headers = {}, agent = false } = question
  const { hostname, port } = new URL(url)
  const sent = request({ hostname, port, method, path, headers, agent })
  // Only `ask` waits for it; and an upload that was answered early breaks afterwards.
  sent.on('error', () => {})
  if ('Expect' in headers) {
    sent.flushHeaders()
    sent.once('continue', () => finish(sent, question))
  } else finish(sent, question)
  return sent
}

function finish(sent: ClientRequest, { body, trailers }: Question): void {
  if (typeof body === 'function') return void body().pipe(sent)
  if (trailers !== undefined) {
    sent.write(body ?? 'x')
    sent.addTrailers(trailers)
    sent.end()
  } else sent.end(body)
}

async function readAnswer(
  answer: IncomingMessage,
  { undecided = [], slowly = false }: Question,
): Promise<Omit<Answer, 'interim'>> {
  const hash = createHash('sha256')
  let length = 0
  let chunks = 0
  let isCut = false
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      hash.update(chunk)
      length += chunk.length
      chunks += 1
      if (slowly && chunks % 10 === 0) await sleep(1)
    }
  } catch {
    isCut = true
  }
  return {
    status: answer.statusCode!,
    reason: answer.statusMessage!,
    headers: comparedLines(answer.rawHeaders, undecided),
    length,
    digest: shortened(hash),
    trailers: answer.rawTrailers,
    isCut,
  }
}

function comparedLines(lines: readonly string[], undecided: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i]!.toLowerCase()
    if (!notCompared.has(name) && !undecided.includes(name)) kept.push(`${lines[i]}: ${lines[i + 1]}`)
  }
  return kept
}

/** An agent with so many connections, kept. */
export function keptConnections(maxSockets: number): Agent {
  return new Agent({ keepAlive: true, maxSockets })
}

/** The status of an answer, 0 where there is none or only a part. */
export function statusOf(answer: Answer | NoAnswer): number {
  return 'failed' in answer || answer.isCut ? 0 : answer.status
}

/** The digest that the answer with this body has. */
export async function digestOf(body: Readable): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of body as AsyncIterable<Buffer>) hash.update(chunk)
  return shortened(hash)
}

function shortened(hash: Hash): string {
  return hash.digest('base64').slice(0, 12)
}
