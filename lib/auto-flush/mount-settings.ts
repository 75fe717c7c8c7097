import type { IncomingMessage, ServerResponse } from 'node:http'
import { FLUSH_SETTINGS } from '../node/keys.js'

/** The time of a flush after a write: in this turn of the event loop, in this tick, or after some milliseconds. */
export type Coalesce = 'immediate' | 'tick' | number

/** The checked options, shared by all responses of one middleware. */
export interface AutoFlushSettings {
  readonly coalesce: Coalesce
  readonly filter: ((req: IncomingMessage, res: ServerResponse) => boolean) | undefined
  readonly proxyBuffering: boolean
  readonly sync: boolean
  readonly heartbeatMs: number
}

interface MountedRequest extends IncomingMessage {
  [FLUSH_SETTINGS]?: AutoFlushSettings
}

/** Notes that the response to a request has passed the middleware. The last mount that it passes decides. */
export function noteMount(req: MountedRequest, settings: AutoFlushSettings): void {
  req[FLUSH_SETTINGS] = settings
}

/** Returns the settings for a response; undefined if it has not passed the middleware, or is no response. */
export function settingsFor(res: ServerResponse): AutoFlushSettings | undefined {
  const req: MountedRequest | undefined = res.req
  return req?.[FLUSH_SETTINGS]
}

/** Tells whether a response has passed the middleware. */
export function hasPassed(res: ServerResponse): boolean {
  return settingsFor(res) !== undefined
}
