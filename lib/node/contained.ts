import type { ServerResponse } from 'node:http'
import createDebug from 'debug'

const debug = createDebug('sluiceway:contained')

/**
 * Runs a callback of a timer or an event, where an exception would end the process. It ends the connection of `res`
 * instead: an application or a library may have replaced any method of a response by one that throws.
 */
export function contain(res: ServerResponse, run: () => void): void {
  try {
    run()
  } catch (error) {
    debug('%s %s: the connection ends after %o', res.req.method, res.req.url, error)
    res.destroy()
  }
}
