import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { proxyChannels, proxyLine } from '../shared/channels.js'
import type { ProxiedRequest, ProxyOutcome } from '../shared/messages.js'
import type { Draft } from './request/outgoing.js'

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** The two ends of a tunnel. */
interface TunnelEnds {
  readonly client: Duplex
  readonly upstream: Duplex
}

/**
 * What is told of one proxied request. There is one only where somebody listens.
 *
 *     start ─ (send) ─ end ── asyncStart: the head of the answer ── [error] ── asyncEnd
 *
 * As with every tracing channel, an error that comes before the head is told before `asyncStart`.
 */
export class Trace {
  private readonly message: Writable<ProxiedRequest>
  private readonly startedAt = performance.now()
  /** The context of the request, with whatever subscribers have bound to it. */
  private context = new AsyncResource('SLUICEWAY_PROXY')
  private hasStart = false
  private hasEnd = false
  private hasHead = false
  /** A subscriber has changed the head of the request. */
  hasChangedHead = false

  constructor(req: IncomingMessage, res: ServerResponse) {
    this.message = {
      req,
      res,
      outgoing: undefined,
      status: undefined,
      headMs: undefined,
      totalMs: undefined,
      requestBytes: 0,
      responseBytes: 0,
      isRetried: false,
      outcome: undefined,
      error: undefined,
    }
  }

  /** Tells of the start, and runs `send` in the context that subscribers may bind their stores to. */
  start({ target, outgoing }: Draft, send: () => void): void {
    if (this.message.outcome !== undefined) return send()
    const { method, path, headers } = outgoing
    const { lines } = headers
    const before = [...lines]
    this.message.outgoing = { origin: target.origin, method, path, headers }
    this.tellStart(() => {
      this.context = new AsyncResource('SLUICEWAY_PROXY')
      this.hasChangedHead = lines.length !== before.length || lines.some((text, at) => text !== before[at])
      send()
    })
    this.endSending()
  }

  sentAgain(): void {
    this.message.isRetried = true
  }

  receive(bytes: number): void {
    this.message.responseBytes += bytes
  }

  /** The head of the answer has come. */
  head(status: number): void {
    this.message.status = status
    this.message.headMs = this.elapsed
    this.inContext(() => this.tellHead())
  }

  /** Counts the bytes of a tunnel from its beginning, those that came early included. */
  count({ client, upstream }: TunnelEnds, early: { readonly up: number; readonly down: number }): void {
    const { message } = this
    message.requestBytes = early.up
    message.responseBytes = early.down
    client.on('data', ({ length }: Buffer) => (message.requestBytes += length))
    upstream.on('data', ({ length }: Buffer) => (message.responseBytes += length))
  }

  /** Waits until a tunnel is closed. */
  follow({ client, upstream }: TunnelEnds): void {
    const ends = [client, upstream].filter((end) => !end.closed)
    let open = ends.length
    for (const end of ends) end.on('close', () => (open -= 1) === 0 && this.finish('upgraded'))
    if (open === 0) this.finish('upgraded')
    else proxyLine(this.message)
  }

  finish(outcome: ProxyOutcome, requestBytes?: number, error?: unknown): void {
    const { message } = this
    message.outcome = outcome
    message.totalMs = this.elapsed
    message.requestBytes = requestBytes ?? message.requestBytes
    message.error = error
    this.inContext(() => this.tellEnd())
  }

  private tellStart(send: () => void): void {
    this.hasStart = true
    proxyChannels.start.runStores(this.message, send)
  }

  private tellEnd(): void {
    const { message } = this
    // It has failed before it could be sent, or its client has left.
    if (!this.hasStart) this.tellStart(() => {})
    this.endSending()
    if (message.outcome === 'failed') proxyChannels.error.publish(message)
    if (!this.hasHead) this.tellHead()
    proxyChannels.asyncEnd.publish(message)
    proxyLine(message)
  }

  private tellHead(): void {
    this.endSending()
    this.hasHead = true
    proxyChannels.asyncStart.publish(this.message)
  }

  /** A dispatcher may answer before it returns. */
  private endSending(): void {
    if (this.hasEnd) return
    this.hasEnd = true
    proxyChannels.end.publish(this.message)
  }

  private get elapsed(): number {
    return performance.now() - this.startedAt
  }

  private inContext(tell: () => void): void {
    this.context.runInAsyncScope(tell)
  }
}
