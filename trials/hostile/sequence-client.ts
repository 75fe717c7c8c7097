import net from 'node:net'
import { type Answer, answersIn } from './answers.js'
import { Patience } from './patience.js'

/** What came back over one connection. */
export interface Observed {
  readonly answers: readonly Answer[]
  /** True where the server has ended the connection, rather than kept silent. */
  readonly hasEnded: boolean
}

/**
 * Sends the parts, each in a turn of its own, and collects what comes back: until `expected` answers are there and the
 * server has closed the connection behind them, or nothing has come for `patienceMs`.
 */
export function converse(
  port: number,
  parts: readonly Buffer[],
  expected: number,
  patienceMs: number,
): Promise<Observed> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    let text = ''
    const finish = (hasEnded: boolean): void => {
      patience.end()
      socket.destroy()
      resolve({ answers: answersIn(text, hasEnded), hasEnded })
    }
    const patience = new Patience(patienceMs, () => finish(false))
    socket.on('error', () => {}).on('end', () => finish(true))
    socket.on('close', () => finish(true))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      patience.renew()
      if (answersIn(text, false).length >= expected) socket.end()
    })
    sendInTurns(socket, parts)
    if (expected === 0) socket.end()
  })
}

function sendInTurns(socket: net.Socket, [first, ...others]: readonly Buffer[]): void {
  if (first === undefined || socket.destroyed || socket.writableEnded) return
  socket.write(first, () => setImmediate(sendInTurns, socket, others))
}
