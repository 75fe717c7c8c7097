import net from 'node:net'
import { type Answer, answersIn } from './answers.js'
import { Patience } from './patience.js'
import { type TunnelCase, upgradeMessage } from './tunnel-cases.js'

export interface TunnelSeen {
  /** The final answers outside of the tunnel. */
  readonly answers: readonly Answer[]
  /** The message whose upgrade was accepted. */
  readonly accepted: string | undefined
  readonly echoed: string
  readonly hasEnded: boolean
}

/** What is sent once the tunnel stands. */
export const LATER = 'later words'

/** Sends a case, and goes on within the tunnel where there is one. Ends its side when everything has come back. */
export function tryTunnel(port: number, one: TunnelCase, patienceMs: number): Promise<TunnelSeen> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const state = { text: '', hasAsked: false, hasFollowed: false }
    const finish = (hasEnded: boolean): void => {
      patience.end()
      socket.destroy()
      resolve({ ...seenIn(state.text, hasEnded), hasEnded })
    }
    const patience = new Patience(patienceMs, () => finish(false))
    socket.on('error', () => {}).on('end', () => finish(true))
    socket.on('close', () => finish(true))
    socket.on('data', (chunk: Buffer) => {
      state.text += chunk.toString('latin1')
      patience.renew()
      goOn(socket, one, state)
    })
    socket.write(one.before.map((kind, place) => kind.bytes(one.ids[place]!)).join(''), 'latin1')
    goOn(socket, one, state)
  })
}

function goOn(
  socket: net.Socket,
  one: TunnelCase,
  state: { text: string; hasAsked: boolean; hasFollowed: boolean },
): void {
  const { answers, accepted, echoed } = seenIn(state.text, false)
  if (!state.hasAsked && (!one.waits || answers.length >= one.before.length)) {
    state.hasAsked = true
    socket.write(upgradeMessage(one), 'latin1')
  }
  if (accepted !== undefined && !state.hasFollowed) {
    state.hasFollowed = true
    socket.write(LATER)
  }
  const isDone = accepted === undefined ? answers.length > one.before.length : echoed.endsWith(LATER)
  if (isDone && !socket.writableEnded) socket.end()
}

function seenIn(text: string, ended: boolean): Omit<TunnelSeen, 'hasEnded'> {
  const start = text.search(/HTTP\/1\.1 101 /)
  if (start === -1) return { answers: answersIn(text, ended), accepted: undefined, echoed: '' }
  const headEnd = text.indexOf('\r\n\r\n', start)
  const head = text.slice(start, headEnd)
  return {
    answers: answersIn(text.slice(0, start), true),
    accepted: /^x-id: *(.*)$/im.exec(head)?.[1]?.trim() ?? '',
    echoed: headEnd === -1 ? '' : text.slice(headEnd + 4),
  }
}
