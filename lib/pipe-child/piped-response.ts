import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { PIPED } from '../node/keys.js'
import { isHttp2, streamOf } from '../node/request/facts.js'
import { isClosed, onResponseClose } from '../node/response/close.js'
import { cutResponse } from '../node/response/cut.js'
import { sendsBody } from '../node/response/state.js'
import { timers } from '../node/timers.js'
import { wrongOption } from '../shared/error-page.js'
import { ListenerSet } from './listener-set.js'
import { addExitTrailer, describeMissingBody, sendPipedHead } from './piped-head.js'
import type { ChildExit } from './running-child.js'

/** The form in which the client gets the exit of a child, and whether the response ends with it. */
export interface ResponseSettings {
  readonly exit: 'event' | 'trailer' | 'none'
  readonly end: boolean
  /** True if each line is sent as a server-sent event. */
  readonly events: boolean
}

/**
 * The interval at which we check whether the handler has ended a response that the client does not read. There is no
 * event for it.
 */
const LOOK_EVERY_MS = 100

const IN_USE =
  'another child is being piped into this response; wait for it, with the option "end: false", before the next'
const ENDED =
  'an earlier pipeChild has ended this response; the option "end: false" keeps it open for another child'

type Listener = () => void
type PipedState = 'in use' | 'ended'
type Piped = ServerResponse & { [PIPED]?: PipedState | undefined }

/** A response for as long as a child is piped into it. */
export class PipedResponse {
  readonly res: Piped
  private readonly settings: ResponseSettings
  private readonly before: PipedState | undefined
  private readonly listeners = new ListenerSet()
  private readonly hasBody: boolean
  /** The stream that takes what is written: the response, or its compressor, where an end waits for a slow client. */
  private receiver: Partial<Writable>
  private hasBegun = false
  /** True once an event has told the end: that of a compressor's own stream may come before the response has ended. */
  private wasToldEnd = false
  private onOver: Listener | undefined
  private onFull: Listener | undefined
  private onFailure: ((error: Error) => void) | undefined
  private lookTimer: NodeJS.Timeout | undefined

  /** Throws if the response belongs to another child, or was ended by one. */
  constructor(res: ServerResponse, settings: ResponseSettings) {
    this.res = res
    this.receiver = res
    this.settings = settings
    this.hasBody = sendsBody(res, res.statusCode)
    this.before = this.res[PIPED]
    if (this.before === 'in use') throw wrongOption(`pipeChild: ${IN_USE}`)
    if (this.before === 'ended') throw wrongOption(`pipeChild: ${ENDED}`)
    this.res[PIPED] = 'in use'
  }

  /** True if nothing more can be sent: the client has left, or the response was ended. */
  get isOver(): boolean {
    const { res, receiver } = this
    return (
      this.wasToldEnd ||
      isClosed(res) ||
      res.writableEnded ||
      res.destroyed ||
      receiver.writableEnded === true
    )
  }

  /** Calls `listener`, once or more, when the response is over; in the next tick if it already is. */
  whenOver(listener: Listener): void {
    this.onOver = listener
    if (this.isOver) timers.nextTick(listener)
    this.listenForEnd(() => {
      this.wasToldEnd = true
      listener()
    })
  }

  /** Calls `listener` with the exception of a method of the response: Node throws for a wrong Content-Length. */
  whenFailed(listener: (error: Error) => void): void {
    this.onFailure = listener
  }

  /**
   * Sends the head, unless the response has no body: its client would then have everything that it waits for, and may
   * leave, which would end the child. That head is sent when the child has ended.
   */
  sendHead(): void {
    if (this.hasBody) sendPipedHead(this.res, this.settings)
    this.hasBegun = true
  }

  /** Calls `onFull` if the client reads too slowly, and `onDrain` when it has caught up. */
  watchPressure(onFull: Listener, onDrain: Listener): void {
    this.onFull = onFull
    this.receiver = this.listeners.on(this.res, 'drain', () => {
      timers.clearInterval(this.lookTimer)
      onDrain()
    }) as Partial<Writable>
  }

  write(framed: string | Buffer): void {
    if (framed.length === 0 || !this.hasBody) return
    if (this.isOver) this.onOver?.()
    else this.attempt(() => isFullAfter(this.res, framed) && this.waitForDrain())
  }

  /** Sends the exit to the client, and ends the response or leaves it to the next child. */
  async finish(exit: ChildExit): Promise<void> {
    if (this.isOver) return
    this.attempt(() => this.sendExit(exit))
    if (this.settings.end) await this.end()
  }

  /** Cuts the response, so that a part of the output does not look complete. */
  cut(): void {
    cutResponse(this.res)
  }

  /** Releases the response for another child. If nothing was sent, the caller may still answer. */
  release(): void {
    timers.clearInterval(this.lookTimer)
    this.listeners.removeAll()
    const after = this.settings.end ? 'ended' : undefined
    this.res[PIPED] = this.hasBegun ? after : this.before
  }

  private listenForEnd(listener: Listener): void {
    this.listeners.on(this.res, 'finish', listener)
    onResponseClose(this.res, listener)
    this.listeners.addRemoval(() => this.res.off('close', listener))
    // A response over HTTP/2 emits 'finish' only when the request has ended too.
    if (isHttp2(this.res)) this.listeners.on(streamOf(this.res), 'finish', listener)
  }

  private waitForDrain(): void {
    this.onFull?.()
    timers.clearInterval(this.lookTimer)
    this.lookTimer = timers
      .setInterval(() => {
        if (this.isOver) this.onOver?.()
      }, LOOK_EVERY_MS)
      .unref()
  }

  private sendExit(exit: ChildExit): void {
    if (!this.hasBody) return describeMissingBody(this.res, this.settings)
    if (this.settings.exit === 'event') this.res.write(`event: exit\ndata: ${JSON.stringify(exit)}\n\n`)
    if (this.settings.exit === 'trailer') addExitTrailer(this.res, exit)
  }

  private attempt(send: () => unknown): void {
    try {
      send()
    } catch (error) {
      this.onFailure?.(error as Error)
    }
  }

  private async end(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.listenForEnd(resolve)
      this.attempt(() => this.res.end())
    })
  }
}

/**
 * Writes bytes, and tells whether the client's buffers are full then. A `write` that other code has replaced may return
 * nothing at all, which `pipe()` does not count as full.
 */
function isFullAfter(res: ServerResponse, framed: string | Buffer): boolean {
  return (res.write(framed) as boolean | undefined) === false
}
