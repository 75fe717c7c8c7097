import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Step } from './response-entry.js'

const BLOCK = 16_384
const DRIP_MS = 40

/** Does what an entry says on a connection, for as long as that is open. Beneath TLS, `tcp` is what it goes over. */
export async function play(socket: Socket, steps: readonly Step[], tcp: Socket = socket): Promise<void> {
  for (const step of steps) {
    if (socket.destroyed) return
    if (step === 'end') socket.end()
    else if (step === 'cut') tcp.end()
    else if (step === 'reset') tcp.resetAndDestroy()
    else if ('clear' in step) tcp.write(step.clear, 'latin1')
    else if ('write' in step) await write(socket, step.write, tcp)
    else if ('bytewise' in step) await writeBytes(socket, step.bytewise)
    else if ('flood' in step) await flood(socket, step.flood)
    else await drip(socket, step.drip)
  }
}

/** What follows beneath TLS stands behind it; else all that is written at once leaves in one piece. */
async function write(socket: Socket, text: string, tcp: Socket): Promise<void> {
  const bytes = Buffer.from(text, 'latin1')
  if (socket === tcp) socket.write(bytes)
  else await written(socket, bytes)
}

async function writeBytes(socket: Socket, text: string): Promise<void> {
  for (const byte of text) {
    if (socket.destroyed) return
    socket.write(byte, 'latin1')
    await new Promise(setImmediate)
  }
}

async function flood(socket: Socket, text: string): Promise<void> {
  const block = Buffer.from(text.repeat(Math.ceil(BLOCK / text.length)), 'latin1')
  while (!socket.destroyed) await written(socket, block)
}

/** Calls back where the connection is closed meanwhile, too. */
function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => void socket.write(bytes, () => setImmediate(resolve)))
}

async function drip(socket: Socket, text: string): Promise<void> {
  while (!socket.destroyed) {
    socket.write(text, 'latin1')
    await pause(DRIP_MS)
  }
}
