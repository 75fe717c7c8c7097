import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

import { HeaderList, removeLines } from '../header-list.js'
import type { RequestHead } from './headers.js'

/** What is done with X-Forwarded-For, -Host and -Proto. */
export type ForwardedMode = 'auto' | 'append' | 'replace' | false

/**
 * Names by which an upstream may learn who the client is. Many servers (CGI, WSGI) read `_` as `-`,
 * so each way to write them counts.
 */
export const forwardedNames: readonly string[] = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
].flatMap(withUnderscores)

const isForwardedName: ReadonlySet<string> = new Set(forwardedNames)

function withUnderscores(name: string): string[] {
  return name
    .split('-')
    .reduce<string[]>(
      (spellings, part) =>
        spellings.length === 0
          ? [part]
          : spellings.flatMap((begin) => [`${begin}-${part}`, `${begin}_${part}`]),
      [],
    )
}

/** Tells the upstream who the client is: in place of what the client said, or behind it where it is trusted. */
export function addForwarded(head: RequestHead, req: IncomingMessage, mode: ForwardedMode): void {
  if (mode === false) return
  if (!head.forwarded) {
    addLines(head, req)
  } else if (mode === 'append' || (mode === 'auto' && isTrusted(req))) {
    appendLines(head, req)
  } else {
    removeLines(head.lines, (name) => isForwardedName.has(name))
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

function clientAddress(req: IncomingMessage): string | undefined {
  const address = req.socket.remoteAddress
  return address?.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

function protocol(req: IncomingMessage): string {
  return (req.socket as Partial<TLSSocket>).encrypted ? 'https' : 'http'
}

/** Asks Express' `trust proxy` setting about the peer; without Express nobody is trusted. */
function isTrusted(req: IncomingMessage): boolean {
  const { app } = req as { app?: { get?: (name: string) => unknown } }
  const trusts = app?.get?.('trust proxy fn')
  return typeof trusts === 'function' && Boolean(trusts(req.socket.remoteAddress, 0))
}
