import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { timers } from '../node/timers.js'
import { proxyChannels, proxyLine } from '../shared/channels.js'
import type { ProxiedRequest, ProxyOutcome } from '../shared/messages.js'
import { HeaderList } from './headers/header-list.js'
import { onceClosed, type TunnelEnds } from './progress.js'
import type { Draft } from './request/draft.js'

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/**
 * Publishes the events of one proxied request. It is created only if there are subscribers.
 *
 *     start ─ (send) ─ end ── asyncStart: the head of the answer ── [error] ── asyncEnd
 *
 * As with every tracing channel, an error that comes before the head is published before `asyncStart`.
 */
export class Trace {
  private readonly facts: Writable<ProxiedRequest>
  /** The object that all events publish. Subscribers may change or freeze it, so nothing is read from it. */
  private readonly message: ProxiedRequest
  private readonly startedAt = timers.now()
  /** The context of the request, with the stores that subscribers have bound to it. */
  private context = new AsyncResource('SLUICEWAY_PROXY')
  private hasStart = false
  private hasEnd = false
  private hasHead = false
  /** The lines that subscribers have set, by name. */
  private changes: ReadonlyMap<string, readonly string[]> | undefined

  constructor(req: IncomingMessage, res: ServerResponse) {
    this.facts = {
      req,
      res,
      outgoing: undefined,
      status: undefined,
      headMs: undefined,
      totalMs: undefined,
      requestBytes: 0,
      responseBytes: 0,
      isRetried: false,
      attempts: 0,
      outcome: undefined,
      error: undefined,
    }
    this.message = { ...this.facts }
  }

  /** Publishes the start, and runs `send` in the context to which subscribers may bind their stores. */
  start({ target, outgoing }: Draft, send: () => void): void {
    if (this.facts.outcome !== undefined) return send()
    const { method, path, headers } = outgoing
    this.facts.outgoing = { origin: target.origin, method, path, headers }
    this.facts.attempts += 1
    if (this.hasStart) return this.startAgain(headers, send)
    const before = [...headers.lines]
    this.tellStart(() => {
      this.changes = changesOf(before, headers.lines)
      send()
    })
  }

  /** Sends the request to another target, with the lines that subscribers have set for the first one. */
  private startAgain(headers: HeaderList, send: () => void): void {
    for (const [name, values] of this.changes ?? []) {
      headers.delete(name)
      for (const value of values) headers.append(name, value)
    }
    this.inContext(send)
  }

  /** True if a subscriber has changed the head of the request. */
  get hasChangedHead(): boolean {
    return this.changes !== undefined
  }

  sentAgain(): void {
    this.facts.isRetried = true
  }

  receive(bytes: number): void {
    this.facts.responseBytes += bytes
  }

  /** Notes that the head of the answer has arrived. */
  head(status: number): void {
    this.facts.status = status
    this.facts.headMs = this.elapsed
    this.inContext(() => this.tellHead())
  }

  /**
   * Counts the bytes of a tunnel from its beginning to its end. The `early` ones, which came behind the 101, have been
   * written already.
   */
  follow(ends: TunnelEnds, early: Buffer): void {
    const { facts } = this
    facts.responseBytes = early.length
    ends.client.on('data', ({ length }: Buffer) => (facts.requestBytes += length))
    ends.upstream.on('data', ({ length }: Buffer) => (facts.responseBytes += length))
    onceClosed(ends, () => this.finish('upgraded'))
    if (facts.outcome === undefined) proxyLine(facts)
  }

  finish(outcome: ProxyOutcome, requestBytes?: number, error?: unknown): void {
    const { facts } = this
    facts.outcome = outcome
    facts.totalMs = this.elapsed
    facts.requestBytes = requestBytes ?? facts.requestBytes
    facts.error = error
    // It has failed before it could be sent, or its client has left.
    if (!this.hasStart) this.inContext(() => this.tellStart(() => {}))
    this.inContext(() => this.tellEnd())
  }

  /** Publishes `start` and `end`, and runs `send` in between, with the stores that are bound to `start`. */
  private tellStart(send: () => void): void {
    this.hasStart = true
    proxyChannels.start.runStores(this.updated(), () => {
      this.context = new AsyncResource('SLUICEWAY_PROXY')
      send()
      this.endSending()
    })
  }

  private tellEnd(): void {
    const { facts } = this
    this.endSending()
    if (facts.outcome === 'failed') proxyChannels.error.publish(this.updated())
    if (!this.hasHead) this.tellHead()
    proxyChannels.asyncEnd.publish(this.updated())
    proxyLine(facts)
  }

  private tellHead(): void {
    this.endSending()
    this.hasHead = true
    proxyChannels.asyncStart.publish(this.updated())
  }

  /** Publishes `end` once: a dispatcher may answer before it returns. */
  private endSending(): void {
    if (this.hasEnd) return
    this.hasEnd = true
    proxyChannels.end.publish(this.updated())
  }

  /** Returns the published object, brought up to date. A subscriber may have frozen it. */
  private updated(): ProxiedRequest {
    for (const [key, value] of Object.entries(this.facts)) Reflect.set(this.message, key, value)
    return this.message
  }

  private get elapsed(): number {
    return timers.now() - this.startedAt
  }

  private inContext(tell: () => void): void {
    this.context.runInAsyncScope(tell)
  }
}

/** Returns the values of each name whose lines have changed; undefined if none has. */
function changesOf(before: string[], after: string[]): ReadonlyMap<string, readonly string[]> | undefined {
  if (isSame(before, after)) return undefined
  const [was, is] = [new HeaderList(before), new HeaderList(after)]
  const names = new Set([...was, ...is].map(([name]) => name))
  const changed = [...names].filter((name) => !isSame(was.getAll(name), is.getAll(name)))
  return new Map(changed.map((name) => [name, is.getAll(name)]))
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, at) => text === other[at])
}
