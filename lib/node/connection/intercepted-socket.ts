import type { Socket } from 'node:net'

/**
 * Tells whether other code, such as nock 15, has taken over a socket as it was opened, and pushes the bytes that it
 * receives: with `onread`, Node reads by itself instead, which fails on a socket that is connected to nothing.
 */
export function isIntercepted(socket: Socket): boolean {
  return Object.hasOwn(socket, '_read')
}
