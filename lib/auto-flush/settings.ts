import type { IncomingMessage, ServerResponse } from 'node:http'

/** When to flush after a write: in this turn of the event loop, in this tick, or after some milliseconds. */
export type Coalesce = 'immediate' | 'tick' | number

/** The options as they hold for every response of one middleware. */
export interface AutoFlushSettings {
  readonly coalesce: Coalesce
  readonly filter: ((req: IncomingMessage, res: ServerResponse) => boolean) | undefined
  readonly proxyBuffering: boolean
  readonly sync: boolean
  readonly heartbeatMs: number
}
