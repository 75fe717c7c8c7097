import { bodySourceOf } from '../body/source-of.js'
import type { Exchange } from './exchange.js'
import { proxyClosed } from './progress.js'
import { requireSoundBody } from './request/outgoing-body.js'
import { Outgoing, type Draft } from './request/outgoing.js'

/** Sends a request that no longer changes. */
export function sendDraft(exchange: Exchange, draft: Draft): void {
  if (exchange.trace === undefined) send(exchange, draft)
  else exchange.trace.start(draft, () => send(exchange, draft))
}

function send(exchange: Exchange, draft: Draft): void {
  try {
    if (exchange.settings.progress.isLate(exchange)) throw proxyClosed()
    const outgoing = new Outgoing(draft)
    requireSoundBody(outgoing, exchange.req)
    // The source discards, within bounds, the part of the body that an early answer leaves unread.
    if (outgoing.hasStreamedBody) bodySourceOf(exchange.req, exchange.res)
    exchange.send(outgoing)
  } catch (error) {
    exchange.fail(error)
  }
}
