import { isHttp2 } from '../../node/request/facts.js'
import { wrapMethod } from '../../node/response/methods.js'
import { announceClosing } from '../../node/response/state.js'
import { isBeingRead } from '../../node/streams/listeners.js'
import type { BodyExchange, BodyState } from '../views.js'

/** The number of bytes of an answered request's body that are discarded to keep its connection. */
export const SMALL_REST: number = 256 * 1024

/** A body whose answer may leave a large part of it unread. */
interface AnnouncedBody extends BodyExchange {
  readonly state: BodyState
  readonly length: number
  readonly received: number
  /** True if a stream beside the request reads it. */
  readonly hasReaders: boolean
  /** True once an answer that leaves a large part unread will announce that the connection closes. */
  announcesClose: boolean
}

/** Adds `Connection: close` to an answer that is sent while a large part of the body is unread. */
export function announceCloseOf(body: AnnouncedBody): void {
  const isLarge = body.length > SMALL_REST
  if (!isLarge || body.announcesClose || isHttp2(body.req)) return
  body.announcesClose = true
  wrapMethod(body.res, 'writeHead', (res, writeHead, args) => {
    if (leavesLargeRest(body)) announceClosing(res)
    return writeHead.apply(res, args)
  })
}

/** Tells whether a large part will stay unread; a reader that is active probably reads all of it. */
function leavesLargeRest({ req, state, received, length, hasReaders }: AnnouncedBody): boolean {
  return state === 'arriving' && length - received > SMALL_REST && !hasReaders && !isBeingRead(req)
}
