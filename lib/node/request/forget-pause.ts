import type { IncomingMessage } from '../http.js'
import { forgetFlow } from '../streams/state.js'
import { isHttp2, streamOf } from './facts.js'

/**
 * Makes a request look as if it had been neither read nor paused. Over HTTP/2 its stream was paused with it, and only
 * `resume()` and a 'data' listener would let that go on: a loop, or a 'readable' listener, would wait for ever.
 */
export function forgetPause(req: IncomingMessage): void {
  forgetFlow(req)
  if (!isHttp2(req)) return
  const stream = streamOf(req)
  // A stream that does not feed its request yet would discard its bytes.
  if (stream.listenerCount('data') > 0) stream.resume()
  else forgetFlow(stream)
}
