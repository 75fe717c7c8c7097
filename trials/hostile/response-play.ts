import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Step } from './response-entry.js'

const BLOCK = 16_384
const DRIP_MS = 40

/** Does what an entry says on a connection, for as long as that is open. */
export async function play(socket: Socket, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (socket.destroyed) return
    if (step === 'end') socket.end()
    else if (step === 'reset') socket.resetAndDestroy()
    else if ('write' in step) socket.write(step.write, 'latin1')
    else if ('bytewise' in step) await writeBytes(socket, step.bytewise)
    else if ('flood' in step) await flood(socket, step.flood)
    else await drip(socket, step.drip)
  }
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
