import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { HeaderList, removeLines } from '../header-list.js'
import type { RequestHead } from './request-head.js'

/** What is done with X-Forwarded-For, -Host and -Proto. */
export type ForwardedMode = 'auto' | 'append' | 'replace' | false

/**
 * Names by which an upstream may learn who the client is, and by which way it came: every `X-Forwarded-…`, as identities
 * (`-User`, `-Client-Cert`) and paths (`-Prefix`, `-Uri`) are told so too. CGI and WSGI read `_` as `-`, some servers
 * anything that is no letter, so each way to write them counts.
 */
const TELLS = /^(?:forwarded$|x[^a-z\d](?:forwarded[^a-z\d]|real[^a-z\d]ip$))/i

/** Tells whether a line tells who the client is. */
export function tellsOfClient(name: string): boolean {
  // 'x' or 'f', in either case: this runs for each line of each request.
  const initial = name.charCodeAt(0) | 0x20
  return (initial === 0x78 || initial === 0x66) && TELLS.test(name)
}

/** What this proxy tells itself, and what contradicts it. An application that wants other words has `onRequest` for them. */
const own: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
])

/** Tells the upstream who the client is: in place of what the client said, or behind it where it is trusted. */
export function addForwarded(head: RequestHead, req: IncomingMessage, mode: ForwardedMode): void {
  if (mode === false) return
  if (!head.forwarded) {
    addLines(head, req)
  } else if (mode === 'append' || (mode === 'auto' && isTrusted(req))) {
    appendLines(head, req)
  } else {
    removeLines(head.lines, (name) => tellsOfClient(name) && (own.has(name) || !head.setHere.has(name)))
    addLines(head, req)
  }
}

function addLines(head: RequestHead, req: IncomingMessage): void {
  const address = clientAddress(req)
  if (address !== undefined) head.lines.push('X-Forwarded-For', address)
  if (head.host !== undefined) head.lines.push('X-Forwarded-Host', head.host)
  head.lines.push('X-Forwarded-Proto', protocol(req))
}

/** The address joins the list; Host and Proto are those of the first hop and stay where they are given. */
function appendLines(head: RequestHead, req: IncomingMessage): void {
  const headers = new HeaderList(head.lines)
  const addresses = [...headers.getAll('x-forwarded-for'), clientAddress(req)].filter(Boolean)
  if (addresses.length > 0) headers.set('X-Forwarded-For', addresses.join(', '))
  if (!headers.has('x-forwarded-host') && head.host !== undefined) {
    headers.append('X-Forwarded-Host', head.host)
  }
  if (!headers.has('x-forwarded-proto')) headers.append('X-Forwarded-Proto', protocol(req))
}

/** Over a Unix socket there is none; a host may say nothing, or have no connection at all. */
function clientAddress(req: IncomingMessage): string | undefined {
  const address = (req.socket as Socket | undefined)?.remoteAddress
  if (address === undefined || address === '') return undefined
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

function protocol(req: IncomingMessage): string {
  return (req.socket as Partial<TLSSocket> | undefined)?.encrypted ? 'https' : 'http'
}

/** Asks Express' `trust proxy` setting about the peer; without Express nobody is trusted. */
function isTrusted(req: IncomingMessage): boolean {
  const { app } = req as { app?: { get?: (name: string) => unknown } }
  const trusts = app?.get?.('trust proxy fn')
  return typeof trusts === 'function' && Boolean(trusts((req.socket as Socket | undefined)?.remoteAddress, 0))
}
