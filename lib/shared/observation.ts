import { AsyncResource } from 'node:async_hooks'
import { type Channel, channel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import createDebug, { type Debugger } from 'debug'

/** The part that every message has. */
export interface AboutRequest {
  readonly req?: IncomingMessage | undefined
}

/** Writes the line of one message for `DEBUG=`. */
export type Line<Message> = (debug: Debugger, message: Message) => void

/**
 * A kind of event that can be observed through a diagnostics channel, and as a line of `DEBUG=` under the same name.
 *
 * A message is created only if `isObserved`. As with every channel, an exception of a subscriber becomes an uncaught
 * exception in the next tick, and does not affect the request.
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

  /** True if the channel has subscribers. */
  get hasSubscribers(): boolean {
    return this.channel.hasSubscribers
  }

  get isObserved(): boolean {
    return this.channel.hasSubscribers || this.debug.enabled
  }

  /** Publishes a message in the context that was kept for its request, or else in the current one. */
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

/** The async contexts in which middlewares were called. Events of Node's parser run in that of the connection. */
const contexts = new WeakMap<IncomingMessage, AsyncResource>()

/** Keeps the current async context for later messages about a request. */
export function keepContext(req: IncomingMessage): void {
  contexts.set(req, new AsyncResource('SLUICEWAY_OBSERVED'))
}

/** Returns the method and the path of the request line; Express removes the mount path from `req.url`. */
export function asked(req: IncomingMessage): string {
  const { originalUrl = req.url } = req as { originalUrl?: string }
  return `${req.method} ${originalUrl}`
}

/** Describes an error and its causes in one line: status, code and message. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error))
  const { status, code = error.name } = error as { status?: number; code?: string }
  const words = `${status === undefined ? '' : `${status} `}${code}: ${error.message}`
  return oneLine(error.cause === undefined ? words : `${words} (${inWords(error.cause)})`)
}

/** Like `inWords`, with the place where the error was thrown, because it is not reported elsewhere. */
export function withPlace(error: unknown): string {
  const place = error instanceof Error ? /^ +at .+$/m.exec(error.stack ?? '')?.[0].trim() : undefined
  return place === undefined ? inWords(error) : `${inWords(error)}, ${place}`
}

/** Replaces control characters: the text of an upstream may contain any. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\0-\x1f\x7f]+/g, ' ')
}
