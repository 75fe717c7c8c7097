import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { timers } from '../node/timers.js'
import { requirePipes } from './arguments.js'
import { discardChild, endChild, type EndSettings, removeChildListeners } from './end-child.js'
import { EventLines } from './event-lines.js'
import { PipedInput } from './piped-input.js'
import type { PipedResponse, ResponseSettings } from './piped-response.js'
import { type ChildExit, type ChildOutput, outputsOf, type RunningChild } from './running-child.js'

/** The checked options of `pipeChild` for one response. */
export interface PipeChildSettings extends EndSettings, ResponseSettings {
  readonly stderr: 'merge' | 'drop' | 'event'
  readonly stdin: Readable | undefined
}

/** Frames the bytes of one output for the response. */
interface Framing {
  push(chunk: Buffer): string | Buffer
  end(): string
}

const unframed: Framing = { push: (chunk) => chunk, end: () => '' }

/** The transfer of one child's output into one response. */
export class Transfer {
  private readonly response: PipedResponse
  private readonly child: RunningChild
  private readonly settings: PipeChildSettings
  /** Null behind a response that is pushed over HTTP/2. */
  private readonly req: IncomingMessage | null
  /** Resolves when the response was over first, and the child has been ended. */
  private readonly abandoned: Promise<void>
  /** Resolves with the exit once the child is over, with all of its output. */
  private readonly childOver: Promise<ChildExit>
  private input: PipedInput | undefined
  private failure: Error | undefined
  private hasBegun = false
  private isAbandoned = false
  private isChildOver = false

  constructor(
    response: PipedResponse,
    child: RunningChild,
    req: IncomingMessage | null,
    settings: PipeChildSettings,
  ) {
    this.response = response
    this.child = child
    this.req = req
    this.settings = settings
    this.childOver = this.whenChildOver()
    response.whenFailed((error) => this.fail(error))
    this.abandoned = new Promise((resolve) => {
      response.whenOver(() => resolve(this.abandonOnce()))
    })
  }

  /** Runs until the child has ended, and the client has the response or has left. */
  async run(): Promise<ChildExit> {
    try {
      await Promise.race([this.child.started, this.abandoned.then(nextTurn)])
      this.begin()
      const exit = await Promise.race([this.childOver, this.abandoned.then(() => this.exitIfKnown())])
      if (this.failure === undefined) await this.response.finish(exit)
      if (this.failure !== undefined) throw this.failure
      return exit
    } finally {
      this.release()
    }
  }

  /** Waits until the child has exited, and no process can write to its output any more. */
  private async whenChildOver(): Promise<ChildExit> {
    const outputs = outputsOf(this.child).map(({ ended }) => ended.catch((error: Error) => this.fail(error)))
    const [exit] = await Promise.all([this.child.exited, ...outputs])
    this.isChildOver = true
    return exit
  }

  private begin(): void {
    if (this.failure !== undefined) throw this.failure
    if (this.response.isOver) return
    requirePipes(this.child, this.settings)
    this.input = this.inputOf(this.settings.stdin)
    this.input?.start((error) => this.inputFailed(error))
    this.response.sendHead()
    this.hasBegun = true
    this.applyPressure()
    this.forward(this.child.stdout, this.framing())
    this.forward(this.child.stderr, this.stderrFraming())
  }

  /** Makes the child wait while the client does not read, by letting its pipes fill up. */
  private applyPressure(): void {
    const outputs = outputsOf(this.child)
    this.response.watchPressure(
      () => outputs.forEach((output) => output.pause()),
      () => outputs.forEach((output) => output.resume()),
    )
  }

  private framing(event?: string): Framing {
    return this.settings.events ? new EventLines(event) : unframed
  }

  private stderrFraming(): Framing | undefined {
    const { stderr } = this.settings
    return stderr === 'drop' ? undefined : this.framing(stderr === 'event' ? 'stderr' : undefined)
  }

  private forward(output: ChildOutput | undefined, framing: Framing | undefined): void {
    if (framing !== undefined) {
      output?.read(
        (chunk) => this.response.write(framing.push(chunk)),
        () => this.response.write(framing.end()),
      )
    }
    // A stream that was paused, or that a pipe has left, does not flow because it has a listener.
    output?.resume()
  }

  private inputOf(source: Readable | undefined): PipedInput | undefined {
    const { stdin } = this.child
    if (source === undefined || stdin === null) return undefined
    return new PipedInput(source, stdin, {
      responseToIt: source === this.req ? this.response.res : undefined,
      isOver: () => this.response.isOver,
    })
  }

  /** Ignores a client that leaves in the middle of its body: the end of its response is handled elsewhere. */
  private inputFailed(error: Error): void {
    if (this.req?.aborted !== true) this.fail(error)
  }

  /** Notes a failure. After the head, only a cut can tell the client. */
  private fail(error: Error): void {
    this.failure ??= error
    if (this.hasBegun) this.response.cut()
  }

  private async abandonOnce(): Promise<void> {
    if (this.isChildOver || this.isAbandoned) return
    this.isAbandoned = true
    await endChild(this.child, this.settings)
  }

  private async exitIfKnown(): Promise<ChildExit> {
    return Promise.race([this.child.exited, nextTurn().then(() => ({ code: null, signal: null }))])
  }

  private release(): void {
    this.input?.stop()
    this.response.release()
    if (this.isChildOver || this.isAbandoned) void this.childOver.then(() => removeChildListeners(this.child))
    else void discardChild(this.child, this.settings)
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void timers.setImmediate(resolve))
}
