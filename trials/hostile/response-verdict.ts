import type { Seen } from './response-client.js'
import { type HostileResponse, type Must, type Passes } from './response-entry.js'

/** Lines that the proxy, Node, `compression` and the tables themselves add. */
const known: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'trailer',
  'transfer-encoding',
  'vary',
  'x-hooked',
  'x-powered-by',
])

/** What is wrong with what a client has seen, in a few words; undefined where nothing is. */
export function faultOf(entry: HostileResponse, method: string, seen: Seen): string | undefined {
  return bytesOf(seen) ?? outcomeFault(mustOf(entry, method), seen)
}

/** The same where somebody else's parser decides whether the response is taken. */
export function looseFaultOf(entry: HostileResponse, method: string, seen: Seen): string | undefined {
  const must = mustOf(entry, method)
  const own = bytesOf(seen)
  if (own !== undefined || isBroken(seen)) return own
  if (typeof must === 'string') return injected(seen)
  return passesFault({ ...must, reason: undefined }, seen, withoutBlanks)
}

export function mustOf(entry: HostileResponse, method: string): Must {
  return method === 'HEAD' ? entry.mustHead : entry.must
}

/** What may never be, whatever comes of the response. */
function bytesOf({ kind, rest }: Seen): string | undefined {
  if (kind === 'hung') return 'it hangs'
  return rest === '' ? undefined : 'bytes behind the answer'
}

/** Where the upstream has said what ends it, no timeout has to. */
export function delayOf({ isSilent }: HostileResponse, { response }: Seen): string | undefined {
  return response?.status === 504 && isSilent !== true ? 'only a timeout has ended it' : undefined
}

function outcomeFault(must: Must, seen: Seen): string | undefined {
  if (must === 'ends') return undefined
  if (must === 'tunnels') return seen.kind === 'tunnel' ? undefined : `no tunnel, but ${outcomeOf(seen)}`
  if (must === 'breaks') return isBroken(seen) ? undefined : `taken, not broken off: ${outcomeOf(seen)}`
  if (must === 'fails') return isError(seen) ? undefined : `not an error of ours, but ${outcomeOf(seen)}`
  return passesFault(must, seen)
}

function passesFault(must: Passes, seen: Seen, asSeen: (line: string) => string = same): string | undefined {
  const { kind, response, body } = seen
  if (kind !== 'answer' || response === undefined) return `no answer, but ${outcomeOf(seen)}`
  if (response.status !== must.status) return `not ${must.status}, but ${outcomeOf(seen)}`
  if (must.reason !== undefined && response.reason !== must.reason) return 'another reason phrase'
  if (body !== must.body) return `another body: ${JSON.stringify(body?.slice(0, 60))}`
  if (differ(strangeLines(response.head), must.lines, asSeen)) return 'other header lines'
  return differ(response.trailers, must.trailers, asSeen) ? 'other trailers' : undefined
}

function differ(
  lines: readonly string[],
  expected: readonly string[] = [],
  asSeen: (line: string) => string,
): boolean {
  return lines.map(asSeen).join('\n') !== expected.join('\n')
}

function same(line: string): string {
  return line
}

/** A parser may leave white space behind a value. */
function withoutBlanks(line: string): string {
  return line.replace(/[\t ]+$/, '')
}

function injected({ response, interim }: Seen): string | undefined {
  const names = [response?.head ?? '', ...interim, ...(response?.trailers ?? [])].join('\r\n')
  return /^injected *:/im.test(names) ? 'an injected line' : undefined
}

/** An error, or a cut that the client can tell from an end. */
export function isBroken(seen: Seen): boolean {
  return seen.kind === 'cut' || isError(seen)
}

/** An answer of the proxy's own, which has nothing of the upstream's. */
function isError({ kind, response }: Seen): boolean {
  if (kind !== 'answer' || (response?.status !== 502 && response?.status !== 504)) return false
  const [line = '', ...others] = strangeLines(response.head)
  return line.startsWith('X-Code: ERR_SLUICEWAY_UPSTREAM_') && others.length === 0
}

/** In a few words. */
export function outcomeOf({ kind, response }: Seen): string {
  if (kind !== 'answer' || response === undefined) return kind
  const code = response.headers['x-code']?.[0]
  return `${response.status}${code === undefined ? '' : ` ${code}`}`
}

/** The header lines that tell one answer from another. */
export function strangeLines(head: string): string[] {
  const lines = head.slice(0, -4).split('\r\n').slice(1)
  return lines.filter((line) => !known.has(line.slice(0, line.indexOf(':')).toLowerCase()))
}

/** What is wrong with the answer to a request that has nothing to do with any of this. */
export function innocentFault(path: string, seen: Seen): string | undefined {
  const own = { status: 200, reason: 'OK', lines: [`X-Path: ${path}`], body: path }
  return bytesOf(seen) ?? passesFault(own, seen) ?? injected(seen)
}
