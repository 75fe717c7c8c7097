import { AsyncResource } from 'node:async_hooks'
import { type Channel, channel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import createDebug, { type Debugger } from 'debug'
import { isError } from './is-error.js'

/** The part that every message has. */
interface AboutRequest {
  readonly req?: IncomingMessage | undefined
}

/** Returns the line of one message for `DEBUG=`. */
type Line<Message> = (message: Message) => string

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

  /** Writes the line first, as a subscriber may change the message. */
  publish(message: Message): void {
    if (this.debug.enabled) writeLine(this.debug, this.line(message))
    this.channel.publish(message)
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

/** Writes a line for `DEBUG=`. Text of clients and upstreams, and names of programs, may contain any character. */
export function writeLine(debug: Debugger, line: string): void {
  debug('%s', line.replaceAll(UNSAFE, escaped))
}

/**
 * The characters that would begin another line, steer the terminal, or change the order of what it shows: control
 * characters (C0, DEL and C1), line and paragraph separators, and those that set the direction of writing.
 */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}

/** The most characters that a line shows of one path, token or name of a program. */
const MAX_SHOWN = 200

/** Cuts a text that can be of any length. */
export function shortened(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

/** Returns the method and the path of the request line; Express removes the mount path from `req.url`. */
export function requestLine(req: IncomingMessage): string {
  const { originalUrl = req.url } = req as { originalUrl?: string }
  return `${req.method} ${shortened(String(originalUrl))}`
}

/** Describes an error and its causes: status, code and message. */
export function describeError(error: unknown): string {
  if (!isError(error)) return String(error)
  const { status, code = error.name } = error as { status?: number; code?: string }
  const words = `${status === undefined ? '' : `${status} `}${code}: ${error.message}`
  return error.cause === undefined ? words : `${words} (${describeError(error.cause)})`
}

/** Describes an error with the place where it was thrown, because it is not reported elsewhere. */
export function describeThrown(error: unknown): string {
  const place = isError(error) ? /^ +at .+$/m.exec(error.stack ?? '')?.[0].trim() : undefined
  return place === undefined ? describeError(error) : `${describeError(error)}, ${place}`
}
