import { type RequestHandler, Router } from 'express'
import { passthroughProxy } from 'sluiceway'
import type { Traces } from '../traces.js'

const cookie = 'playground_session'
const session = 'session-of-ada'

/** A WebSocket to the upstream, behind a check: `attach` in server.ts runs the handshake through these routes. */
export function socketRoutes(traces: Traces, upstream: string): Router {
  const requireSession: RequestHandler = (req, res, next) => {
    const refusal = refusalOf(req.headers)
    traces.of(req).note('gateway', 'checked', { refusal: refusal?.status })
    traces.of(req).holdUntil(req.socket, 'close')
    if (refusal === undefined) next()
    else res.status(refusal.status).json(refusal)
  }
  const passOn = passthroughProxy(upstream, {
    path: (req) => `/socket${new URL(req.url ?? '', upstream).search}`,
    onRequest(outgoing, req) {
      outgoing.headers.delete('Cookie') // the session is no business of the upstream's
      traces.of(req).note('gateway', 'asked')
    },
  })
  const routes = Router()
  routes.post('/login', (req, res) => {
    res.cookie(cookie, session, { path: '/socket', httpOnly: true, sameSite: 'strict' }).sendStatus(204)
  })
  routes.post('/logout', (req, res) => {
    res.clearCookie(cookie, { path: '/socket' }).sendStatus(204)
  })
  routes.get('/chat', requireSession, passOn)
  return routes
}

interface Refusal {
  readonly status: number
  readonly error: string
  readonly code: string
}

const notLoggedIn: Refusal = { status: 401, error: 'log in first', code: 'NOT_LOGGED_IN' }
const otherSite: Refusal = { status: 403, error: "another site's page asked", code: 'OTHER_ORIGIN' }

/** Browsers send cookies with every site's WebSockets, and tell whose page it was. */
function refusalOf(headers: Readonly<Record<string, string | string[] | undefined>>): Refusal | undefined {
  const { cookie: cookies, origin, host } = headers
  if (typeof origin === 'string' && origin.replace(/^https?:\/\//, '') !== host) return otherSite
  const sent = String(cookies ?? '').split('; ')
  return sent.includes(`${cookie}=${session}`) ? undefined : notLoggedIn
}
