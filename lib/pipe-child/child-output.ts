import type { ChildProcess } from 'node:child_process'
import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { isHttp2, takesChunks } from '../node/request-facts.js'
import { contain } from '../node/contained.js'
import { onResponseClose } from '../node/response-close.js'
import { sendHead } from '../node/send-head.js'
import { EventLines } from './event-lines.js'
import { endProcessGroup, isRunning } from './process-group.js'

/** The options of `pipeChild` as they hold for one response. */
export interface PipeChildSettings {
  readonly stderr: 'merge' | 'drop' | 'event'
  readonly exit: 'event' | 'trailer' | 'none'
  readonly killSignal: NodeJS.Signals
  readonly forceKillAfterMs: number
  /** True where each line is sent as a server-sent event. */
  readonly events: boolean
}

/** How a child process ended: by `code`, or by `signal`. */
export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Frames the bytes of one stream of the child for the response. */
interface Framing {
  push(chunk: Buffer): string | Buffer
  end(): string
}

const unframed: Framing = { push: (chunk) => chunk, end: () => '' }

/** One running child whose output is the body of one response. */
export class ChildOutput {
  private readonly res: ServerResponse
  private readonly child: ChildProcess
  private readonly settings: PipeChildSettings
  private readonly outputs: Readable[]

  constructor(res: ServerResponse, child: ChildProcess, settings: PipeChildSettings) {
    this.res = res
    this.child = child
    this.settings = settings
    this.outputs = [child.stdout, child.stderr].filter((output) => output !== null)
  }

  /** Runs until the child has closed its output, and the client has the response or is gone. */
  async run(): Promise<ChildExit> {
    const closed = this.childClosed()
    this.sendHead()
    this.forward(this.child.stdout, this.framing())
    this.forward(this.child.stderr, this.stderrFraming())
    // One listener for good: `compression` cannot take a `once('drain')` off again.
    this.res.on('drain', () => this.resume())
    onResponseClose(this.res, () => this.clientLeft())
    const exit = await closed
    await this.finish(exit)
    return exit
  }

  /** Waits until the child is gone and so is everybody who could write to its output. */
  private childClosed(): Promise<ChildExit> {
    const { exitCode, signalCode } = this.child
    if (!isRunning(this.child) && this.outputs.every((output) => output.destroyed)) {
      return Promise.resolve({ code: exitCode, signal: signalCode })
    }
    return new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve({ code, signal }))
    })
  }

  private sendHead(): void {
    const { res, settings } = this
    if (res.headersSent || res.destroyed) return
    if (!res.hasHeader('content-type')) res.setHeader('Content-Type', 'text/plain; charset=utf-8')
    if (this.sendsTrailer()) res.setHeader('Trailer', 'Exit-Code, Exit-Signal')
    if (settings.events && !res.hasHeader('cache-control')) res.setHeader('Cache-Control', 'no-cache')
    sendHead(res)
  }

  private framing(event?: string): Framing {
    return this.settings.events ? new EventLines(event) : unframed
  }

  private stderrFraming(): Framing | undefined {
    const { stderr } = this.settings
    return stderr === 'drop' ? undefined : this.framing(stderr === 'event' ? 'stderr' : undefined)
  }

  private forward(output: Readable | null, framing: Framing | undefined): void {
    if (framing === undefined) output?.resume()
    else {
      output?.on('data', (chunk: Buffer) => this.write(framing.push(chunk)))
      output?.on('end', () => this.write(framing.end()))
    }
  }

  /** Makes the child wait while the client does not read: its pipes fill up. */
  private write(framed: string | Buffer): void {
    if (framed.length === 0 || this.res.destroyed || this.res.writableEnded) return
    contain(this.res, () => {
      if (!this.res.write(framed)) for (const output of this.outputs) output.pause()
    })
  }

  private resume(): void {
    for (const output of this.outputs) output.resume()
  }

  /** 'close' also follows a response that was sent whole; the child has closed its output by then. */
  private clientLeft(): void {
    if (this.res.writableEnded) return
    endProcessGroup(this.child, this.settings)
    // Whatever still comes is thrown away, so that the child's pipes can end.
    this.resume()
  }

  private async finish(exit: ChildExit): Promise<void> {
    const { res, settings } = this
    if (res.destroyed) return
    if (settings.exit === 'event') res.write(`event: exit\ndata: ${JSON.stringify(exit)}\n\n`)
    if (this.sendsTrailer()) res.addTrailers(trailersOf(exit))
    await new Promise<void>((resolve) => {
      res.on('close', resolve)
      res.end()
    })
  }

  /** Only a body in chunks has a place for trailers; Node throws where one is announced for another. */
  private sendsTrailer(): boolean {
    const { req } = this.res
    const takesTrailers = isHttp2(req) || takesChunks(req)
    return this.settings.exit === 'trailer' && takesTrailers && req.method !== 'HEAD'
  }
}

function trailersOf({ code, signal }: ChildExit): Record<string, string> {
  return code === null ? { 'Exit-Signal': String(signal) } : { 'Exit-Code': String(code) }
}
