import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { leaveToOthers } from '../../node/streams/listeners.js'
import { isPipedInto } from '../../node/streams/pipes.js'
import { bytesOf, readableOf, type Stage } from '../hook-bodies/body-transform.js'
import { onLastPush } from '../hook-bodies/contained-transform.js'
import { hookError, requestBodyError } from '../hooks.js'
import { takeHeld } from './hold-back.js'

/** Tells whether a body is that of the client, changed by a hook. */
export function isChangedBodyOf(req: IncomingMessage, body: unknown): boolean {
  return body instanceof ChangedRequestBody && body.source === req
}

/**
 * The body of a request on its way through the transforms of a hook. Nothing is read from its source before it is read
 * itself: until then, another upstream may get the request.
 *
 *     client ─▶ source ── pipe ─▶ transform ── pipe ─▶ … ─▶ ChangedRequestBody ─▶ upstream
 */
export class ChangedRequestBody extends Readable {
  readonly source: Readable | Buffer | string
  /** True if the source is a stream that a hook has made. */
  private readonly ownsSource: boolean
  private readonly stages: Stage[] = []
  private output: Readable | undefined

  constructor(source: Readable | Buffer | string, ownsSource: boolean) {
    super()
    // A transform may fail while the hook still runs, before the upstream listens.
    this.on('error', ignore)
    this.source = source
    this.ownsSource = ownsSource
    if (ownsSource && source instanceof Readable) this.watch(source, unchanged)
  }

  /** Adds a transform. */
  through(stage: Stage): void {
    this.stages.push(stage)
    this.watch(stage.output, transformError)
    if ((stage.input as unknown) !== stage.output) stage.input.on('error', ignore)
  }

  override _read(): void {
    if (this.output === undefined) this.begin()
    else this.output.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.source instanceof Readable) this.leaveSource(this.source)
    for (const { input, output } of this.stages) {
      input.destroy()
      output.destroy()
    }
    callback(error)
  }

  /** Destroys the stream of a hook. The client's body stays with its request and its other readers. */
  private leaveSource(source: Readable): void {
    const [first] = this.stages
    if (this.ownsSource) source.destroy()
    else if (first !== undefined && !source.readableEnded && isPipedInto(source, first.input)) {
      source.unpipe(first.input)
      leaveToOthers(source, true)
    }
  }

  private begin(): void {
    const { source } = this
    const taken = this.ownsSource ? undefined : takeHeld(source as IncomingMessage)
    if (taken === undefined && source instanceof Readable && source.readableEnded) {
      return void this.destroy(requestBodyError(readBefore()))
    }
    let output = this.opened(taken)
    for (const stage of this.stages) {
      pipeUntilEnd(output, stage)
      output = stage.output
    }
    this.output = output.on('data', this.onData).on('end', this.onEnd).resume()
  }

  /** Returns the source, from which other readers may have taken a part, or all of it. */
  private opened(taken: readonly (Buffer | string)[] | undefined): Readable {
    const { source } = this
    if (!(source instanceof Readable)) return readableOf(Buffer.from(source))
    if (source.readableEnded && taken !== undefined) return Readable.from(taken)
    if (!this.ownsSource) this.watch(source, unchanged)
    for (const chunk of taken ?? []) this.stages[0]?.input.write(chunk)
    return source
  }

  private watch(stream: Readable, errorOf: (cause: Error) => Error): void {
    let hasEnded = false
    stream.on('end', () => (hasEnded = true))
    stream.on('error', (cause) => this.destroy(errorOf(cause)))
    stream.on('close', () => {
      if (!hasEnded) this.destroy(errorOf(closedBeforeEnd()))
    })
  }

  private readonly onData = (chunk: unknown): void => {
    try {
      if (!this.push(bytesOf(chunk))) this.output?.pause()
    } catch (error) {
      this.destroy(this.stages.length === 0 ? requestBodyError(error) : transformError(error))
    }
  }

  private readonly onEnd = (): void => {
    this.push(null)
  }
}

/** Pipes a stream into a transform until that has ended, which it may do before the stream. */
function pipeUntilEnd(from: Readable, { input, output }: Stage): void {
  onLastPush(output, () => from.unpipe(input))
  from.pipe(input)
}

/** Creates the error for a body that another reader has read to its end: nothing would be left to send. */
export function readBefore(): Error {
  return new Error('the body was read before it was sent')
}

function closedBeforeEnd(): Error {
  return new Error('the body was closed before its end')
}

function unchanged(error: Error): Error {
  return error
}

function transformError(cause: unknown): Error {
  return hookError('a transform of onRequest failed', cause)
}

function ignore(): void {}
