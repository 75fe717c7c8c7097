import { announceClosing } from '../../node/connection.js'
import { wrapMethod } from '../../node/response-methods.js'
import { hasListeners } from '../../node/stream-state.js'
import type { BodyExchange, BodyState } from '../owner.js'

/** So much of an answered request's body is thrown away to keep its connection. */
export const SMALL_REST: number = 256 * 1024

/** A body whose answer may leave a large rest of it unread. */
interface AnnouncedBody extends BodyExchange {
  readonly state: BodyState
  readonly length: number
  readonly received: number
  /** True where a stream beside the request reads it. */
  readonly hasReaders: boolean
}

/** Lets an answer say `Connection: close` where it comes while a large rest of the body is unread. */
export function announceCloseOf(body: AnnouncedBody): void {
  wrapMethod(body.res, 'writeHead', (res, writeHead, args) => {
    if (leavesLargeRest(body)) announceClosing(res)
    return writeHead.apply(res, args)
  })
}

/** A reader that is at work may well read it all. */
function leavesLargeRest({ req, state, received, length, hasReaders }: AnnouncedBody): boolean {
  return state === 'arriving' && length - received > SMALL_REST && !hasReaders && !hasListeners(req)
}
