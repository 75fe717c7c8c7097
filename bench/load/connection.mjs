// A client's connection that asks the same request again and again, and knows what the answer must be.
import net from 'node:net'
import { AnswerReader } from './answer-reader.mjs'

/** An answer that has not come whole by then is an error. */
const PATIENCE = 20_000

export class Connection {
  /** `expected` is the body of each answer, or its length. */
  constructor(port, request, expected) {
    this.port = port
    this.request = request
    this.expected = expected
  }

  async open() {
    const reader = new AnswerReader((answer) => this.settle(this.isRight(answer)), {
      keepBody: typeof this.expected !== 'number',
    })
    this.socket = net.connect({ port: this.port, host: '127.0.0.1', noDelay: true })
    this.socket.setTimeout(PATIENCE, () => this.socket.destroy())
    this.socket.on('data', (chunk) => reader.read(chunk))
    this.socket.on('error', () => {})
    this.socket.on('close', () => this.settle(false))
    await new Promise((resolve) => this.socket.once('connect', resolve).once('close', resolve))
  }

  isRight({ status, length, body }) {
    if (status !== 200) return false
    return typeof this.expected === 'number' ? length === this.expected : body.equals(this.expected)
  }

  /** Sends the request; true once the right answer is here. Opens the connection anew where the server has closed it. */
  async ask() {
    if (this.socket === undefined || this.socket.destroyed) await this.open()
    return new Promise((resolve) => {
      this.waiting = resolve
      if (this.socket.destroyed) this.settle(false)
      else this.socket.write(this.request)
    })
  }

  settle(right) {
    const { waiting } = this
    this.waiting = undefined
    waiting?.(right)
  }

  close() {
    this.socket?.destroy()
  }
}
