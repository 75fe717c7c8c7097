import { containWithoutCut } from '../node/contained.js'
import { shareHiddenClass } from '../node/hidden-class.js'
import { timers } from '../node/timers.js'
import type { SluicewayError } from '../shared/errors.js'
import { Attempts } from './attempts.js'
import { Exchange } from './exchange.js'
import { runRequestHook, type RequestHook } from './hooks.js'
import { requireNextOrNone, type ProxyHandler } from './proxy-handler.js'
import { type Draft, draftOf, readHead, requireUnread } from './request/draft.js'
import { bodyBegins, mayBeUnannounced } from './request/unannounced-body.js'
import { sendDraft } from './send-draft.js'
import type { ProxySettings } from './settings.js'
import { type Target, TargetChooser } from './target.js'

/**
 * Proxies a request that has to wait in between: for the caller's functions, or for a body that no header announces.
 */
export function waitingProxy(chosen: Target | TargetChooser, settings: ProxySettings): ProxyHandler {
  return function passthroughProxyMiddleware(req, res, next) {
    requireNextOrNone(next)
    shareHiddenClass(req, res)
    const exchange = new Exchange(req, res, next, settings)
    const attempts = chosen instanceof TargetChooser ? new Attempts(chosen, exchange) : undefined
    const start = (): void => {
      sendAfterWaiting(exchange, attempts ?? (chosen as Target)).catch((error: unknown) =>
        exchange.fail(error),
      )
    }
    if (attempts !== undefined) exchange.startOver = startingOver(attempts, start)
    start()
  }
}

/** Prepares a request again, for the target after the one that has failed. */
function startingOver(attempts: Attempts, start: () => void): (error: SluicewayError) => void {
  return (error) => {
    attempts.noteFailure(error)
    // By then, a stream of a hook that read the body from bodyCache has released it.
    timers.setImmediate(start)
  }
}

async function sendAfterWaiting(exchange: Exchange, chosen: Target | Attempts): Promise<void> {
  const { req, settings } = exchange
  if (exchange.isOver) return
  const attempts = chosen instanceof Attempts ? chosen : undefined
  const head = readHead(exchange, attempts?.failed?.error)
  if (mayBeUnannounced(req, head)) head.chunked = await bodyBegins(req)
  const target = chosen instanceof Attempts ? await chosen.next() : chosen
  // The client may have left in the meantime.
  if (exchange.isOver) return
  const draft = draftOf(exchange, target, head, attempts !== undefined)
  if (settings.onRequest !== undefined) await changeRequest(settings.onRequest, exchange, draft)
  requireUnread(draft)
  sendDraft(exchange, draft)
}

async function changeRequest(hook: RequestHook, exchange: Exchange, draft: Draft): Promise<void> {
  const { outgoing, req } = draft
  // Even if the hook fails or never settles, a client that leaves ends its request.
  exchange.whenOver = () => containWithoutCut(req, () => outgoing.release())
  await runRequestHook(hook, outgoing, req)
}
