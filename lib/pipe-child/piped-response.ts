import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import { wrongOption } from '../shared/error-page.js'
import { contain } from '../node/contained.js'
import { cutResponse } from '../node/cut-response.js'
import { PIPED } from '../node/keys.js'
import { isHttp2, takesChunks } from '../node/request-facts.js'
import { isClosed, onResponseClose } from '../node/response-close.js'
import { sendHead } from '../node/send-head.js'
import { ListenerSet } from './listener-set.js'
import type { ChildExit } from './running-child.js'

/** How the exit of a child is told to the client, and whether the response ends with it. */
export interface ResponseSettings {
  readonly exit: 'event' | 'trailer' | 'none'
  readonly end: boolean
  /** True where each line is sent as a server-sent event. */
  readonly events: boolean
}

/** How often a response that the client does not read is asked whether the handler has ended it. No event tells. */
const LOOK_EVERY_MS = 100

const IN_USE =
  'another child is being piped into this response; wait for it, with the option "end: false", before the next'
const ENDED =
  'an earlier pipeChild has ended this response; the option "end: false" keeps it open for another child'

type Listener = () => void
type PipedState = 'in use' | 'kept open' | 'ended'
type Piped = ServerResponse & { [PIPED]?: PipedState | undefined }

/** A response for as long as a child is piped into it. */
export class PipedResponse {
  private readonly res: Piped
  private readonly settings: ResponseSettings
  private readonly before: PipedState | undefined
  private readonly listeners = new ListenerSet()
  private readonly hasBody: boolean
  private hasBegun = false
  private onOver: Listener | undefined
  private onFull: Listener | undefined
  private look: NodeJS.Timeout | undefined

  /** Throws where another child has the response, or has ended it. */
  constructor(res: ServerResponse, settings: ResponseSettings) {
    this.res = res
    this.settings = settings
    this.hasBody = takesBody(res)
    this.before = this.res[PIPED]
    if (this.before === 'in use') throw wrongOption(`pipeChild: ${IN_USE}`)
    if (this.before === 'ended') throw wrongOption(`pipeChild: ${ENDED}`)
    this.res[PIPED] = 'in use'
  }

  /** Tells whether nothing can be sent any more: the client is gone, or the response was ended. */
  get isOver(): boolean {
    return isClosed(this.res) || this.res.writableEnded || this.res.destroyed
  }

  /** Calls `listener`, once or more, when the response is over; where it is already, in the next tick. */
  whenOver(listener: Listener): void {
    this.onOver = listener
    if (this.isOver) process.nextTick(listener)
    this.listenForEnd(listener)
  }

  /**
   * A head without a body is all that its client waits for: it may leave then, and over HTTP/2 the response is over. So
   * that head goes when the child is over.
   */
  sendHead(): void {
    const { res } = this
    if (!res.headersSent && this.hasBody) this.sendHeadNow()
    this.hasBegun = true
  }

  /** Calls `onFull` where the client does not keep up, and `onDrain` when it has. */
  watchPressure(onFull: Listener, onDrain: Listener): void {
    this.onFull = onFull
    this.listeners.on(this.res, 'drain', () => {
      clearInterval(this.look)
      onDrain()
    })
  }

  write(framed: string | Buffer): void {
    if (framed.length === 0 || !this.hasBody) return
    if (this.isOver) this.onOver?.()
    else contain(this.res, () => this.res.write(framed) || this.waitForDrain())
  }

  /** Tells the client of the exit, and ends the response or leaves it to the next child. */
  async finish(exit: ChildExit): Promise<void> {
    if (this.isOver) return
    contain(this.res, () => this.sendExit(exit))
    if (this.settings.end) await this.end()
  }

  /** Breaks the response off: what was sent must not look like the whole. */
  cut(): void {
    cutResponse(this.res)
  }

  /** Leaves the response to whoever pipes another child into it. Where nothing was sent, the caller may still answer. */
  release(): void {
    clearInterval(this.look)
    this.listeners.removeAll()
    const after = this.settings.end ? 'ended' : 'kept open'
    this.res[PIPED] = this.hasBegun ? after : this.before
  }

  private listenForEnd(listener: Listener): void {
    this.listeners.on(this.res, 'finish', listener)
    onResponseClose(this.res, listener)
    this.listeners.addRemoval(() => this.res.off('close', listener))
    // A response over HTTP/2 emits 'finish' only when the request has ended too.
    if (isHttp2(this.res.req)) this.listeners.on(streamOf(this.res), 'finish', listener)
  }

  private sendHeadNow(): void {
    const { res } = this
    const added = Object.entries(this.headers()).filter(([name]) => !res.hasHeader(name))
    for (const [name, value] of added) res.setHeader(name, value)
    try {
      sendHead(res)
    } catch (error) {
      // The application can answer with a head of its own.
      if (!res.headersSent) for (const [name] of added) res.removeHeader(name)
      throw error
    }
  }

  private headers(): Record<string, string> {
    const type = String(this.res.getHeader('content-type') ?? PLAIN_TEXT)
    return {
      'Content-Type': type,
      // Browsers would hold back the first kilobyte of plain text, to guess whether it is any.
      ...(/^text\/plain *(?:;|$)/i.test(type) && { 'X-Content-Type-Options': 'nosniff' }),
      ...(this.settings.events && { 'Cache-Control': 'no-cache' }),
      ...(this.announcesTrailer() && { Trailer: 'Exit-Code, Exit-Signal' }),
    }
  }

  /** Only a body in chunks has a place for trailers; Node throws where one is announced for another. */
  private announcesTrailer(): boolean {
    const { req } = this.res
    if (this.settings.exit !== 'trailer' || !this.hasBody) return false
    return isHttp2(req) || (takesChunks(req) && !this.res.hasHeader('content-length'))
  }

  private waitForDrain(): void {
    this.onFull?.()
    clearInterval(this.look)
    this.look = setInterval(() => {
      if (this.isOver) this.onOver?.()
    }, LOOK_EVERY_MS).unref()
  }

  private sendExit(exit: ChildExit): void {
    if (!this.hasBody) return
    if (this.settings.exit === 'event') this.res.write(`event: exit\ndata: ${JSON.stringify(exit)}\n\n`)
    if (this.settings.exit === 'trailer') this.res.addTrailers(trailersOf(exit))
  }

  private async end(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.listenForEnd(resolve)
      contain(this.res, () => this.res.end())
    })
  }
}

const PLAIN_TEXT = 'text/plain; charset=utf-8'

function takesBody({ req, statusCode }: ServerResponse): boolean {
  return req.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304
}

function streamOf(res: ServerResponse): ServerHttp2Stream {
  return (res as unknown as Http2ServerResponse).stream
}

function trailersOf({ code, signal }: ChildExit): Record<string, string> {
  return code === null ? { 'Exit-Signal': String(signal) } : { 'Exit-Code': String(code) }
}
