import { AsyncResource } from 'node:async_hooks'
import type { Duplex } from 'node:stream'
import type { Failure, Receiver, Sending } from '../upstream.js'

/** Calls a receiver in the async context in which its request was sent: undici calls in that of the connection. */
export class InContext extends AsyncResource implements Receiver {
  private readonly receiver: Receiver

  constructor(receiver: Receiver) {
    super('SLUICEWAY_REQUEST')
    this.receiver = receiver
  }

  onSending(sending: Sending): void {
    this.runInAsyncScope(() => this.receiver.onSending(sending))
  }

  onInformation(status: number, lines: string[]): void {
    this.runInAsyncScope(() => this.receiver.onInformation(status, lines))
  }

  onHead(status: number, reason: string, lines: string[]): void {
    this.runInAsyncScope(() => this.receiver.onHead(status, reason, lines))
  }

  onBody(chunk: Buffer): void {
    this.runInAsyncScope(() => this.receiver.onBody(chunk))
  }

  onReadOver(): boolean {
    return this.runInAsyncScope(() => this.receiver.onReadOver())
  }

  onEnd(trailers: string[], last?: Buffer): boolean | void {
    return this.runInAsyncScope(() => this.receiver.onEnd(trailers, last))
  }

  onUpgraded(lines: string[], connection: Duplex, early: Buffer): void {
    this.runInAsyncScope(() => this.receiver.onUpgraded(lines, connection, early))
  }

  onFailure(failure: Failure): void {
    this.runInAsyncScope(() => this.receiver.onFailure(failure))
  }
}
