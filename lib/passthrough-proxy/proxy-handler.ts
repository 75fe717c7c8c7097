import type { IncomingMessage, ServerResponse } from 'node:http'
import type { NextFunction } from '../shared/middleware.js'
import { requireNext } from '../shared/next.js'
import { OWNER } from './settings.js'

/** The `next` of a request: undefined in `http.createServer(proxy)`. */
export type GivenNext = NextFunction | undefined

/** Handles one request. Without `next`, it answers errors itself. */
export type ProxyHandler = (req: IncomingMessage, res: ServerResponse, next?: NextFunction) => void

const REMEDY =
  'options belong to passthroughProxy(target, options), and upgrades go through attach(server, app)'

/** Throws for the third argument of `proxy.web(req, res, options)` or `proxy.ws(req, socket, head)` of http-proxy. */
export function requireNextOrNone(next: unknown): void {
  if (next !== undefined) requireNext(OWNER, next, REMEDY)
}
