import net, { type Socket } from 'node:net'
import { listen, type TestServer } from './servers.js'

export interface SlowLinkOptions {
  /** The delay of each byte. */
  readonly delayMs: number
  readonly bytesPerSecond: number
}

/** A relay to `port` that is slow in both directions, and passes on ends and resets. `closeServers` ends it. */
export function slowLink(port: number, options: SlowLinkOptions): Promise<TestServer<net.Server>> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    new Direction(near, far, options).start()
    new Direction(far, near, options).start()
  })
  return listen(server)
}

/** One direction of a link. It reads no more from the sender than it can carry, so that back-pressure reaches the sender. */
class Direction {
  private readonly from: Socket
  private readonly to: Socket
  private readonly options: SlowLinkOptions
  /** The time when the last byte read so far will have left the sender's end. */
  private clearAt = 0
  private readonly underWay: (() => void)[] = []

  constructor(from: Socket, to: Socket, options: SlowLinkOptions) {
    this.from = from
    this.to = to
    this.options = options
  }

  start(): void {
    const { from, to } = this
    from.on('data', (chunk: Buffer) => this.carry(chunk))
    from.on('end', () => this.later(() => to.end()))
    // On Node 20, resetting a socket that was ended leaks its handle, and the process never ends.
    from.on('error', () => this.later(() => (to.writableEnded ? to.destroy() : to.resetAndDestroy())))
    from.on('close', () => this.later(() => to.destroySoon()))
  }

  private carry(chunk: Buffer): void {
    const { from, options } = this
    const now = performance.now()
    this.clearAt = Math.max(this.clearAt, now) + (chunk.length / options.bytesPerSecond) * 1000
    from.pause()
    setTimeout(() => from.resume(), this.clearAt - now)
    this.later(() => this.deliver(chunk))
  }

  private deliver(chunk: Buffer): void {
    if (this.to.writable) this.to.write(chunk)
  }

  /** Runs `action` after everything sent before it has arrived. */
  private later(action: () => void): void {
    const now = performance.now()
    this.underWay.push(action)
    // Timers of different lengths may overtake each other; bytes on the link may not.
    setTimeout(() => this.underWay.shift()!(), Math.max(this.clearAt, now) - now + this.options.delayMs)
  }
}
