import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'

/** What a reader has so far, and comes to. */
export interface Reading {
  readonly sofar: () => string
  readonly ends: () => number
  readonly whole: Promise<string>
}

/** Reads with listeners, like code from before promises. */
export function readWithData(req: IncomingMessage): Reading {
  let sofar = ''
  let ends = 0
  req.on('data', (chunk: Buffer) => {
    sofar += String(chunk)
  })
  const whole = new Promise<string>((resolve) => {
    req.on('end', () => {
      ends += 1
      resolve(sofar)
    })
  })
  return { sofar: () => sofar, ends: () => ends, whole }
}

/** Reads what is there at each event. */
export function readWithReadable(req: IncomingMessage): Omit<Reading, 'ends'> {
  let sofar = ''
  req.on('readable', () => {
    for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as Buffer | null) {
      sofar += String(chunk)
    }
  })
  return { sofar: () => sofar, whole: once(req, 'end').then(() => sofar) }
}
