import { AsyncResource } from 'node:async_hooks'
import { type Channel, channel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import createDebug, { type Debugger } from 'debug'

/** What every message tells: which request it is about. */
export interface AboutRequest {
  readonly req?: IncomingMessage | undefined
}

/** Writes the line of one message for `DEBUG=`. */
export type Line<Message> = (debug: Debugger, message: Message) => void

/**
 * One kind of event that can be observed: through a diagnostics channel, and as a line of `DEBUG=` under the same name.
 *
 * A message is made only where `isObserved`. What a subscriber throws reaches the process as an uncaught exception in the
 * next tick, as of any channel, and does nothing to the request.
 */
export class Observation<Message extends AboutRequest> {
  private readonly channel: Channel
  private readonly debug: Debugger
  private readonly line: Line<Message>

  constructor(name: string, line: Line<Message>) {
    this.channel = channel(name)
    this.debug = createDebug(name)
    this.line = line
  }

  /** Whether anybody subscribes to the channel. */
  get hasSubscribers(): boolean {
    return this.channel.hasSubscribers
  }

  get isObserved(): boolean {
    return this.channel.hasSubscribers || this.debug.enabled
  }

  /** Tells of an event, in the context that was kept for its request, or else in the present one. */
  tell(message: Message): void {
    const context = message.req === undefined ? undefined : contexts.get(message.req)
    if (context === undefined) this.publish(message)
    else context.runInAsyncScope(publish<Message>, undefined, this, message)
  }

  publish(message: Message): void {
    this.channel.publish(message)
    if (this.debug.enabled) this.line(this.debug, message)
  }
}

function publish<Message extends AboutRequest>(observation: Observation<Message>, message: Message): void {
  observation.publish(message)
}

/** The contexts in which middlewares were called. What the parser tells of a body, it tells in that of its connection. */
const contexts = new WeakMap<IncomingMessage, AsyncResource>()

/** Keeps the present context for what will be told of a request. */
export function keepContext(req: IncomingMessage): void {
  contexts.set(req, new AsyncResource('SLUICEWAY_OBSERVED'))
}

/** The method and the path that the client asked for; a mount of Express takes its own part of `req.url` away. */
export function asked(req: IncomingMessage): string {
  const { originalUrl = req.url } = req as { originalUrl?: string }
  return `${req.method} ${originalUrl}`
}

/** An error in one line: its status, code and words, and those of the errors behind it. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error))
  const { status, code = error.name } = error as { status?: number; code?: string }
  const words = `${status === undefined ? '' : `${status} `}${code}: ${error.message}`
  return oneLine(error.cause === undefined ? words : `${words} (${inWords(error.cause)})`)
}

/** The same with the place where it was thrown, for an error that nobody else will show. */
export function withPlace(error: unknown): string {
  const place = error instanceof Error ? /^ +at .+$/m.exec(error.stack ?? '')?.[0].trim() : undefined
  return place === undefined ? inWords(error) : `${inWords(error)}, ${place}`
}

/** What an upstream says may hold anything. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\0-\x1f\x7f]+/g, ' ')
}
