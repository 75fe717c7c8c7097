import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { HeaderList, removeLines } from '../headers/header-list.js'
import type { ClientHead } from './client-head.js'

/** The treatment of X-Forwarded-For, -Host and -Proto. */
export type ForwardedMode = 'auto' | 'append' | 'replace' | false

/**
 * Matches names that may describe the client, or its way here, to an upstream: every `X-Forwarded-…`, because
 * identities (`-User`, `-Client-Cert`) and paths (`-Prefix`, `-Uri`) are among them. CGI and WSGI read `_` as `-`,
 * and some servers any character that is not a letter, so every spelling counts.
 */
const DESCRIBES = /^(?:forwarded$|x[^a-z\d](?:forwarded[^a-z\d]|real[^a-z\d]ip$))/i

/** Tells whether a line describes the client. */
export function describesClient(name: string): boolean {
  // 'x' or 'f', in either case, is checked first, as this runs for each line of each request.
  const initial = name.charCodeAt(0) | 0x20
  return (initial === 0x78 || initial === 0x66) && DESCRIBES.test(name)
}

/** The names that this proxy sets itself, or that would contradict them. `onRequest` can set other values. */
const own: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
])

/** Adds lines that describe the client, in place of its own lines, or after them if it is trusted. */
export function addForwarded(head: ClientHead, req: IncomingMessage, mode: ForwardedMode): void {
  if (mode === false) return
  if (!head.forwarded) {
    addLines(head, req)
  } else if (mode === 'append' || (mode === 'auto' && isTrusted(req))) {
    appendLines(head, req)
  } else {
    removeLines(head.lines, (name) => describesClient(name) && (own.has(name) || !head.setHere.has(name)))
    addLines(head, req)
  }
}

function addLines(head: ClientHead, req: IncomingMessage): void {
  const address = clientAddress(req)
  if (address !== undefined) head.lines.push('X-Forwarded-For', address)
  if (head.host !== undefined) head.lines.push('X-Forwarded-Host', head.host)
  head.lines.push('X-Forwarded-Proto', protocol(req))
}

/** Appends the address to the list; Host and Proto are those of the first hop, and stay if present. */
function appendLines(head: ClientHead, req: IncomingMessage): void {
  const headers = new HeaderList(head.lines)
  const addresses = [...headers.getAll('x-forwarded-for'), clientAddress(req)].filter(Boolean)
  if (addresses.length > 0) headers.set('X-Forwarded-For', addresses.join(', '))
  if (!headers.has('x-forwarded-host') && head.host !== undefined) {
    headers.append('X-Forwarded-Host', head.host)
  }
  if (!headers.has('x-forwarded-proto')) headers.append('X-Forwarded-Proto', protocol(req))
}

/** Returns the address of the client. A Unix socket has none, and a host may give none, or have no connection. */
function clientAddress(req: IncomingMessage): string | undefined {
  const address = (req.socket as Socket | undefined)?.remoteAddress
  if (address === undefined || address === '') return undefined
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

function protocol(req: IncomingMessage): string {
  return (req.socket as Partial<TLSSocket> | undefined)?.encrypted ? 'https' : 'http'
}

/** Asks Express's `trust proxy` setting about the peer; without Express no peer is trusted. */
function isTrusted(req: IncomingMessage): boolean {
  const { app } = req as { app?: { get?: (name: string) => unknown } }
  const trusts = app?.get?.('trust proxy fn')
  return typeof trusts === 'function' && Boolean(trusts((req.socket as Socket | undefined)?.remoteAddress, 0))
}
