/** What an upstream does on its connection, one after the other. Bytes are written as latin1. */
export type Step =
  | { readonly write: string }
  /** Each byte in a turn of its own. */
  | { readonly bytewise: string }
  /** Over and over again, until the connection is closed. */
  | { readonly flood: string }
  /** The same, slowly. */
  | { readonly drip: string }
  /** In clear, whatever the connection is. */
  | { readonly clear: string }
  | 'end'
  /** TCP ends, but TLS does not say so. */
  | 'cut'
  | 'reset'

/**
 * When it begins.
 * - `asked`: the whole request has come.
 * - `head`: the head of the request has come.
 * - `connected`: the connection is open. Nothing else answers the request then.
 * - `idle`: a request has been answered well, and its client has read the whole answer.
 */
export type Moment = 'asked' | 'head' | 'connected' | 'idle'

/** What the RFCs say of the response. `open`: it may be taken or refused. */
export type Verdict = 'valid' | 'invalid' | 'open'

/** The client gets this, and nothing else. */
export interface Passes {
  readonly status: number
  readonly reason?: string | undefined
  /** The header lines of interest, as they are received. */
  readonly lines?: readonly string[]
  readonly body: string
  readonly trailers?: readonly string[]
}

/**
 * What must become of the client that asked.
 * - `fails`: an error status with a code of ours, as nothing of the response has gone out.
 * - `breaks`: the same, or, where a part has gone out, a visible cut.
 * - `tunnels`: the protocols are switched, and bytes go both ways.
 * - `ends`: any of these, as it depends on what is read first.
 */
export type Must = Passes | 'fails' | 'breaks' | 'tunnels' | 'ends'

/** One way in which an upstream may answer a request. */
export interface HostileResponse {
  readonly name: string
  readonly moment: Moment
  readonly steps: readonly Step[]
  readonly verdict: Verdict
  /** The paragraph that the verdict is from. */
  readonly section: string
  /**
   * Whether Node's own client takes what we take, but for what `response-differences.ts` tells; `depends` where that lies
   * in its limits, or in what it reads first.
   */
  readonly node: 'alike' | 'depends'
  /** For GET and POST, and for HEAD. */
  readonly must: Must
  readonly mustHead: Must
  /** The client asks for an upgrade to this protocol. */
  readonly upgrade?: string
  /** So many bytes of a body go with a POST, rather than a few. */
  readonly upload?: number
  /** Bytes come behind the response: its connection may carry no other request. */
  readonly spoils?: true
  /** The upstream is silent where more is due: only a timeout of the proxy ends it. */
  readonly isSilent?: true
}

export const BODY = 'hello'
export const LENGTH = `Content-Length: ${BODY.length}`
export const CHUNKED = 'Transfer-Encoding: chunked'
export const CHUNKS = `${BODY.length}\r\n${BODY}\r\n0\r\n\r\n`
/** `compression` compresses it. */
const TYPE = 'Content-Type: text/plain'

/** A response that belongs to nobody: not a byte of it may ever be taken for the answer to another request. */
export const POISON = 'HTTP/1.1 200 OK\r\nInjected: yes\r\nContent-Length: 6\r\n\r\npoison'

interface Parts {
  readonly start?: string
  readonly lines?: readonly string[]
  readonly body?: string
  readonly endOfLine?: string
}

/** A response as text for the wire: whole and valid where nothing else is given. */
export function response({
  start = 'HTTP/1.1 200 OK',
  lines = [LENGTH],
  body = BODY,
  endOfLine = '\r\n',
}: Parts): string {
  return [start, TYPE, ...lines, '', ''].join(endOfLine) + body
}

/** What a client gets of a valid response. */
export function passes(given: Partial<Passes> = {}): Passes {
  return { status: 200, body: BODY, ...given }
}

/** What entries of one table have in common. */
export interface Common {
  readonly table: string
  readonly section: string
  readonly verdict: Verdict
  readonly node?: HostileResponse['node']
  readonly must?: Must
  readonly mustHead?: Must
}

/** What one entry differs in. */
export type Own = Partial<Omit<HostileResponse, 'name'>> & { readonly steps: readonly Step[] }

/** Makes an entry of a table. Where nothing is said, we follow the RFC, and so does Node. */
export function entry(common: Common, name: string, own: Own): HostileResponse {
  const verdict = own.verdict ?? common.verdict
  const must = own.must ?? common.must ?? (verdict === 'valid' ? passes() : 'fails')
  return {
    name: `${common.table}: ${name}`,
    moment: 'asked',
    verdict,
    section: common.section,
    node: common.node ?? 'alike',
    mustHead: common.mustHead ?? withoutBody(must),
    ...own,
    must,
  }
}

function withoutBody(must: Must): Must {
  return typeof must === 'string' ? must : bodyless(must)
}

/** What HEAD gets of it. */
export function bodyless({ trailers: _trailers, ...rest }: Passes): Passes {
  return { ...rest, body: '' }
}

/** A text in a few characters that can be read. */
export function shown(text: string): string {
  const quoted = JSON.stringify(text)
    .slice(1, -1)
    .replace(/[\x7f-\xff]/g, asEscape)
  return quoted.length <= 60 ? quoted : `${quoted.slice(0, 40)}…${quoted.slice(-12)} (${text.length})`
}

function asEscape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16)}`
}

/** Several steps in a few words. */
export function named(steps: readonly Step[]): string {
  return steps.map(nameOf).join(', ')
}

function nameOf(step: Step): string {
  if (typeof step === 'string') return step
  return Object.entries(step)
    .map(([how, text]) => `${how} ${shown(text)}`)
    .join()
}
