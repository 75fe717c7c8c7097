import { AsyncLocalStorage } from 'node:async_hooks'
import type { Duplex } from 'node:stream'
import { noteWait } from '../time/waiting.js'
import type { Attempt, Failure, Receiver, Sending, Upstream, UpstreamRequest } from './http1-client.js'

/** The request that a callback belongs to. */
export const context = new AsyncLocalStorage<string>()

/** What one request received from an upstream. */
export class RecordingReceiver implements Receiver {
  readonly events: string[] = []
  readonly information: [status: number, lines: readonly string[]][] = []
  readonly contexts = new Set<string | undefined>()
  sending: Sending | undefined
  status = 0
  reason = ''
  lines: string[] = []
  chunks: Buffer[] = []
  trailers: readonly string[] = []
  failure: Failure | undefined
  tunnel: Duplex | undefined
  early = ''
  attempt!: Attempt
  /** Called with each event. */
  onEvent: (name: string) => unknown = () => {}
  private readonly wakers = new Set<() => void>()

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  /** Tells whether the last event of the exchange has come. */
  get isOver(): boolean {
    return this.events.some((name) => ['end', 'failure', 'upgraded'].includes(name))
  }

  /** Waits for an event of this name. */
  async until(name: string): Promise<this> {
    const isOver = noteWait(() => `the receiver to be told of '${name}' (it was of ${this.events.join()})`)
    try {
      while (!this.events.includes(name)) {
        if (this.isOver)
          throw new Error(
            `over before '${name}': ${this.events.join()} ${(this.failure?.cause as Error)?.message}`,
          )
        await new Promise<void>((resolve) => this.wakers.add(resolve))
      }
      return this
    } finally {
      isOver()
    }
  }

  /** Waits for the end of the response. */
  ended(): Promise<this> {
    return this.until('end')
  }

  /** Waits for the failure. */
  async failed(): Promise<Failure> {
    await this.until('failure')
    return this.failure!
  }

  onSending(sending: Sending): void {
    this.sending = sending
    this.note('sending')
  }

  onInformation(status: number, lines: readonly string[]): void {
    this.information.push([status, lines])
    this.note('information')
  }

  onHead(status: number, reason: string, lines: string[]): void {
    Object.assign(this, { status, reason, lines })
    this.note('head')
  }

  onBody(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk))
    this.note('body')
  }

  onReadOver(): boolean {
    return false
  }

  onEnd(trailers: readonly string[], last?: Buffer): boolean {
    if (last !== undefined) this.chunks.push(Buffer.from(last))
    this.trailers = trailers
    this.note('end')
    return false
  }

  onUpgraded(lines: string[], tunnel: Duplex, early: Buffer): void {
    Object.assign(this, { lines, tunnel, early: early.toString('latin1') })
    tunnel.on('error', () => {})
    this.note('upgraded')
  }

  onFailure(failure: Failure): void {
    this.failure = failure
    this.note('failure')
  }

  private note(name: string): void {
    if (this.isOver) throw new Error(`'${name}' behind the end`)
    this.contexts.add(context.getStore())
    this.events.push(name)
    const wakers = [...this.wakers]
    this.wakers.clear()
    for (const wake of wakers) wake()
    this.onEvent(name)
  }
}

const defaults = {
  method: 'GET',
  path: '/',
  lines: [],
  body: null,
  contentLength: undefined,
  upgrade: undefined,
  headersTimeoutMs: 5000,
  idleTimeoutMs: 0,
  maxQueue: 10,
}

/** Sends a request, a plain GET by default. */
export function ask(
  upstream: Upstream,
  request: Partial<UpstreamRequest> & Pick<UpstreamRequest, 'origin'>,
  receiver: RecordingReceiver = new RecordingReceiver(),
): RecordingReceiver {
  receiver.attempt = upstream.send({ ...defaults, ...request }, receiver)
  return receiver
}
